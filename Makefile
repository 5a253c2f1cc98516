# Everything here can be run again, as root or not, and says what it does. No server has to run already.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# Hundreds of processes start during a test run; without compiled files each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
  --custom-compile-command "make lock" pyproject.toml --group build --extra learn

# A target that is named `help` first: `make` alone explains itself.
.PHONY: help demo up test quick check bench faults databases laws oracle experiments afternoon fuzz wheel docs lock format clean
help:  ## list the targets
	@echo "make TARGET [ARGS=\"...\"]"
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1\t\2/' | expand -t 12

demo: .venv/run  ## a shop's customers live through weeks in a minute; ends by serving the console
	$(BIN)/nurture demo $(ARGS)

up: .venv/run  ## the whole engine in one process, on SQLite, mail into a local mailbox
	$(BIN)/nurture up $(ARGS)

test: .venv/test  ## every check and every test, on real PostgreSQL, Redis and SMTP
	@$(MAKE) --no-print-directory --jobs=3 --keep-going --output-sync=target check-types check-texts tests

.PHONY: tests
# With `+` its lines appear as they come; the checks beside it show theirs when they have ended.
tests:
	+$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

quick: .venv/test  ## static checks and the tests of the pure rules: under a minute, no server
	$(BIN)/ruff check
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal -q tests/domain $(ARGS)

check: .venv/test  ## static checks only
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target check-types check-texts

.PHONY: check-types check-texts
check-types:
	$(BIN)/mypy
check-texts:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/python -m tests.architecture.complexity
	$(BIN)/python -m tests.architecture.plain_english
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms \
	  $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))

bench: .venv/test  ## measure throughput; prints what was measured and on what
	$(BIN)/python -m bench $(if $(ROW),--row $(ROW)) $(ARGS)

faults: .venv/test  ## only the tests that break things on purpose: kill, cut, empty; SEED=8 draws others
	$(BIN)/python -m pytest -n 2 --dist worksteal -m faults $(if $(SEED),--seed $(SEED)) $(ARGS)

databases: .venv/test  ## the tests that `make test` runs on one kind of database only, on the other: three minutes
	$(BIN)/python -m pytest -n 2 --dist worksteal -m databases $(ARGS)

oracle: .venv/test  ## the engine beside a second implementation of its rules: 20 seeds x 300 people, and planted faults; at most half an hour
	$(BIN)/python -m tests.oracle.compare --seeds 11-30 --people 300 --jobs 2 --minutes 28 $(ARGS)
	$(BIN)/python -m pytest -m oracle

laws: .venv/test  ## the tests that try rules with random input, with three times the examples: four minutes
	NURTURE_TEST_EXAMPLES=all $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS) \
	  $$(grep -rl --include='test_*.py' 'examples(' tests)

experiments: .venv/test  ## a thousand drawn histories of a measure of each kind, judged after every day, and a year lived through: at most twenty minutes
	NURTURE_TEST_HISTORIES=all timeout 1200 $(BIN)/python -m pytest -n 2 --dist worksteal --durations=0 tests/measurement/test_histories.py tests/measurement/test_variants.py tests/measurement/test_simulated.py tests/measurement/test_stored_histories.py $(ARGS)

afternoon: .venv/test  ## an operator's afternoon with Postfix as relay and receiving side, 5,000 people: ten minutes, as root
	@PATH="$$PATH:/usr/sbin" command -v postfix >/dev/null \
	  || { echo "no Postfix; on Debian: apt-get install postfix (choose \"No configuration\")"; exit 2; }
	timeout 1200 $(BIN)/python -m pytest -m long -s -q tests/production/test_an_afternoon.py $(ARGS)

answers: .venv/test  ## `contact why` and `contact next` beside the life of 104 people under the whole programme (2,000 pairs): three minutes
	timeout 1200 $(BIN)/python -m pytest -m long -q tests/scenarios/test_answers_agree.py $(ARGS)

fuzz: .venv/test  ## half a million made-up inputs to the readers, and made-up exports: a quarter of an hour of processor time
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long tests/security/test_fuzz.py tests/importing/test_made_files.py $(ARGS)

wheel: .venv/test  ## build the wheel, install it beside the locked packages and run its commands
	$(BIN)/python -m pytest -m "long or not long" tests/architecture/test_wheel.py $(ARGS)

docs: .venv/test  ## write docs/reference from the program itself
	$(BIN)/python docs/write.py $(ARGS)

format: .venv/test  ## lay the code out
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: .venv/test  ## resolve the dependencies anew and pin them with hashes
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) -o requirements.lock
	$(COMPILE) --group dev -o requirements-dev.lock

clean:  ## remove the virtual environment and what tools left
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The environment is rebuilt when its lock is newer. What the tests need includes what running needs.
.venv/run: requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory .venv/made LOCK=$(if $(wildcard .venv/test),requirements-dev.lock,requirements.lock)
	@touch $@

.venv/test: requirements-dev.lock pyproject.toml
	@$(MAKE) --no-print-directory .venv/made LOCK=requirements-dev.lock
	@touch $@ .venv/run

.PHONY: .venv/made
.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "nurture needs Python 3.11 or newer; say which: make PYTHON=/path/to/python3"; exit 2; }
	@test -x $(BIN)/python || { echo "making the virtual environment .venv"; $(PYTHON) -m venv .venv; } \
	  || { echo "this Python makes no virtual environments; on Debian: apt-get install python3-venv"; exit 2; }
	@echo "installing $(LOCK) (each file is checked against its hash)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@echo "installing nurture itself"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
