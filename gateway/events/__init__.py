"""Payment events: who needs to know is told within a second that a customer has paid."""
