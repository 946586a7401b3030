# make run    sets everything up and evolves a voice of Kokoro's for the demo recording
# make test   sets everything up and runs the tests
# make venv   is that set-up alone
# make test-all   runs the tests, the long ones, those of Kokoro's real weights, and those of the extras, which it installs
# make stress   crashes, kills, damage, full disks and hostile files by the thousand: half an hour on two cores
# make compare   KVoiceWalk's walk, the recommended preset and random draws on five targets: an hour on two cores
# make documents DOCUMENTS=FOLDER   KVoiceWalk's own case, its published figures beside kvw's: ten minutes on two cores
# make docs   the manual, build/docs/index.html
# make gallery   a page to hear: two searches for the demo's voice, and funny failures; a quarter of an hour
.PHONY: run test test-all lint stress bench bench-ray compare compare-all documents docs gallery screenshots venv lock clean

# kokoro allows Python 3.10 to 3.12
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $$python && break; done)
# another build of torch: make venv TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
PIP = .venv/bin/python -m pip --disable-pip-version-check --quiet install --no-compile
# uv takes seconds where pip takes minutes
UV = .venv/bin/python -m uv --quiet pip

# on short texts: two cores speak twice as fast as a person
run: venv
	.venv/bin/python -m kvw experiment=quick \
		target_text="The ships are at sea tonight." other_text="A cold wind came over the hill."

# worksteal: a worker that is done takes over tests of the other; each loads the models once
PYTEST = .venv/bin/python -m pytest -n $(JOBS) --dist worksteal
JOBS ?= 2

test: venv
	$(PYTEST) -m "not extras and not long and not real"

test-all: test .venv/ready-extras
	$(PYTEST) -m "long and not real"
	$(PYTEST) -m "real and not extras"
	.venv/bin/python -m pytest -m extras

lint: venv
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy
	.venv/bin/lint-imports

stress: venv
	.venv/bin/python -m tests.stress

bench: venv
	.venv/bin/python -m tests.benchmarks

bench-ray: .venv/ready-extras
	.venv/bin/python -m tests.benchmarks.ray

# finished searches are kept in outputs/compare
compare: venv
	.venv/bin/python -m tests.benchmarks.compare random_walk quick random_search

compare-all: venv
	.venv/bin/python -m tests.benchmarks.compare

# finished searches are kept in outputs/gallery
gallery: venv
	.venv/bin/python -m tests.tools.gallery

# FOLDER has the target.wav of KVoiceWalk's first commit; the finished search is kept in outputs/documents
documents: venv
	.venv/bin/python -m tests.benchmarks.documents $(DOCUMENTS)

# a broken reference, and any other warning, is an error; docs/ is a folder too, hence .PHONY
docs: .venv/ready-extras
	.venv/bin/python -m sphinx --fresh-env --fail-on-warning --keep-going --nitpicky --quiet docs build/docs

# of the manual, with a Chromium that is there
screenshots: .venv/ready-extras
	.venv/bin/python -m tests.tools.screenshots

venv: .venv/ready

# --no-deps: constraints.txt is the whole list, without the two packages that nothing here needs (see pyproject.toml)
.venv/ready: constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "kvw needs Python 3.10, 3.11 or 3.12: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(PIP) -c constraints.txt $(TORCH)
	$(PIP) uv
	$(UV) install --no-deps -r constraints.txt
	$(UV) install --no-deps -e .
	# compiles librosa's kernels: two processes that do so at once can leave a cache of numba's that crashes
	.venv/bin/python -c 'import librosa.beat, librosa.core.pitch, librosa.sequence'
	touch .venv/ready

.venv/ready-extras: .venv/ready constraints-extras.txt
	$(UV) install --no-deps -r constraints-extras.txt
	touch .venv/ready-extras

# Adds to the lists what pyproject.toml asks for and they lack; make lock UPGRADE=--upgrade moves every pin.
# torch is chosen by TORCH, and brings what is its own (CUDA) itself. constraints-extras.txt has what the extras add.
LOCK = $(UV) compile pyproject.toml --universal --python-version 3.10 --no-python-downloads --no-header --no-annotate
OTHERS = grep -vE '^(torch|triton|nvidia-|cuda-)'

lock: venv
	cp constraints.txt lock.new
	$(LOCK) $(UPGRADE) --extra weights --group dev --output-file lock.new > /dev/null
	$(OTHERS) lock.new > constraints.txt
	cat constraints-extras.txt >> lock.new
	$(LOCK) $(UPGRADE) --group dev --group runtimes --group browser --group docs --all-extras --output-file lock.new > /dev/null
	$(OTHERS) lock.new | grep -vxFf constraints.txt > constraints-extras.txt
	rm lock.new

clean:
	rm -rf .venv
