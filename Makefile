# The front door of the checkout.  `make` alone tells the targets.
#
# Every target but help and clean sets up first; that takes milliseconds when nothing changed (busbar/bootstrap.py).

PYTHON ?= python3
# Two workers: each starts a PostgreSQL of its own.
PYTEST_ARGUMENTS ?= -n 2
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test serve check bench lock clean

help:
	@echo "Busbar: the gateway between banks and an electricity utility"
	@echo "银电联网网关：银行与供电企业之间的缴费、账务与日终对账"
	@echo
	@echo "  make setup         prepare .venv                         准备运行环境"
	@echo "  make demo          two banks, two business days          演示：两家银行，两个营业日"
	@echo "  make test          run the tests                         运行测试"
	@echo "  make serve         start the gateway and the console     启动网关与对账控制台"
	@echo "  make check         format, lint, types, imports, sizes   代码检查"
	@echo "  make bench [NAME]  measure all, or NAME [JSON=file]      性能测试（可指定一项）"
	@echo "  make lock          pin the versions anew (needs uv)      重新锁定依赖版本"
	@echo "  make clean         remove .venv, caches and var/demo     清理"

# -I: neither this folder nor PYTHON* variables may put other modules in the way of the standard library.
setup:
	@$(PYTHON) -I busbar/bootstrap.py

demo: setup
	@$(BIN)/busbar demo

test: setup
	@$(BIN)/pytest -q $(PYTEST_ARGUMENTS)

serve: setup
	@$(BIN)/busbar serve

check: setup
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/source

# `make bench ledger`: the words after `bench` are names of measurements, not targets.
ifeq (bench,$(firstword $(MAKECMDGOALS)))
NAMES := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
ifneq (,$(NAMES))
.PHONY: $(NAMES)
$(NAMES):
	@:
endif
endif

bench: setup
	@$(BIN)/busbar bench $(or $(NAMES),all) $(if $(JSON),--json $(JSON))

# No index address may stand in the lock, hence the --no-emit options; hashes of every platform's wheel may.
lock:
	@uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --only-binary :all: --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet --output-file requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info var/demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
