"""The billing ledger: a pure core (`decide`) in an imperative shell (`ledger`, `lane`, stores). README.md first."""
