# make demo: install, train a small run, colour photographs with it and with the network that comes with DeepColor.
# make test: install, check, test in less than 8 minutes on two cores; make test-slow: the tests that take longer.
PYTHON ?= python3
BIN := .venv/bin
RUN := results/base_lr1e-4
PHOTOGRAPHS = $(if $(PHOTOS),datasets='{photographs: {path: "$(PHOTOS)"}}')
ON_LITE0 := shipped mse rebalanced unmirrored unbalanced l1 classes-500 classes-1000 classes-2000 arch3-none arch3-lite0 \
	base-none base-lite0
ON_RANDOM := arch3-random base-random
TRAIN := $(BIN)/snakemake --cores 2 --configfile config/evidence.yaml --config

.PHONY: demo weights evidence family test test-slow test-all pytest bench fuzz check lock clean

demo: .venv/installed
	$(BIN)/snakemake --cores 4 $(RUN) results/shipped
	$(BIN)/snakemake --cores 4 report
	@$(BIN)/python -m stages show $(RUN)
	@$(BIN)/python -m stages show results/shipped
	@echo "Open results/index.html in a browser: both runs side by side, and every test picture."

# Trains the network of config/color.yaml on the photographs in the folder PHOTOS, and writes it to pipeline/weights.
weights: .venv/installed
	$(BIN)/snakemake --cores 2 results/color --configfile config/color.yaml --config dataset=photographs $(PHOTOGRAPHS)
	$(BIN)/python -m stages publish results/color --out pipeline/weights --replace

# Trains the networks of config/evidence.yaml on the same photographs, scores them and writes the tables of docs/color.md.
evidence: .venv/installed
	$(TRAIN) dataset=photographs $(PHOTOGRAPHS) -- $(ON_LITE0:%=data/evidence/models/%/training.json)
	$(TRAIN) data=data/random embedding='{weights: random}' $(PHOTOGRAPHS) -- $(ON_RANDOM:%=data/evidence/models/%/training.json)
	$(BIN)/python -m docs.color

# Trains the systems of docs/family.md on the same photographs, scores them and writes the tables of that page.
family: .venv/installed
	$(BIN)/snakemake --cores 2 family --configfile config/family.yaml --config dataset=photographs $(PHOTOGRAPHS)
	$(BIN)/python -m docs.family

# The checks use what the tests leave idle of two cores.
test test-all: .venv/installed
	$(MAKE) --jobs=2 --no-print-directory check pytest $(if $(filter test-all,$@),MARKS='-m ""')

test-slow: MARKS = -m 'slow and not long'
test-slow: pytest

# Processes of the tests keep their bytecode for the next ones, also where the environment forbids it.
pytest: export PYTHONDONTWRITEBYTECODE =
pytest: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(MARKS)

# Measures all rows in 10 to 15 minutes, or only those in ROWS.
bench: .venv/installed
	$(BIN)/python -m benchmarks $(ROWS)

fuzz: .venv/installed ; DEEPCOLOR_FUZZ_EXAMPLES=20000 $(BIN)/python -m pytest -x tests/system/test_fuzz.py

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint
	$(BIN)/python -m pip check --disable-pip-version-check

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13), f"expected Python 3.11 to 3.13, received {sys.version.split()[0]}; choose one: make PYTHON=python3.12"'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	touch $@

# Run after changing dependencies; requires uv.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --extra dev \
		--no-header --no-annotate --output-file requirements.lock pyproject.toml
	sed -i '/  - pip:/q' environment.yml
	sed "s/^/      - /" requirements.lock >> environment.yml

# Removes the environment but keeps data, models and results.
clean:
	rm -rf .venv
