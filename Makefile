# make run    sets everything up and evolves a voice for the demo recording
# make test   sets everything up and runs the tests
# make venv   is that set-up alone
.PHONY: run test lint bench venv lock clean

# kokoro allows Python 3.10 to 3.12
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $$python && break; done)
# another build of torch: make venv TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
PIP = .venv/bin/python -m pip --disable-pip-version-check --quiet install --no-compile
# uv takes seconds where pip takes minutes
UV = .venv/bin/python -m uv --quiet pip

run: venv
	.venv/bin/python -m kvw synth=embedded step_limit=200

test: venv
	.venv/bin/python -m pytest

lint: venv
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy

bench: venv
	.venv/bin/python -m tests.bench

venv: .venv/ready

# --no-deps: constraints.txt is the whole list, without the two packages that nothing here needs (see pyproject.toml)
.venv/ready: constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "kvw needs Python 3.10, 3.11 or 3.12: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(PIP) -c constraints.txt $(TORCH)
	$(PIP) uv
	$(UV) install --no-deps -r constraints.txt
	$(UV) install --no-deps -e .
	touch .venv/ready

# writes constraints.txt anew. torch is chosen by TORCH, and brings what is its own (CUDA) itself.
lock: venv
	$(UV) compile pyproject.toml --extra dev --universal --python-version 3.10 --no-header --no-annotate --upgrade \
		| grep -vE '^(torch|triton|nvidia-|cuda-)' > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf .venv
