# The course's commands, one line each. Without make (Windows): the plain lines in README.md do the same.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Chapters that `make course` runs side by side.
JOBS ?= 1
# PyTorch's threads spin while they wait for each other, which beside busy programs slows training up to ten times. Let
# them sleep sooner. (On a machine of their own it makes no difference.)
export GOMP_SPINCOUNT ?= 3000
# Chapters run in their own folder, so a relative path to local data has to become an absolute one here.
ifdef GAN_COURSE_DATA
export GAN_COURSE_DATA := $(or $(shell cd "$(GAN_COURSE_DATA)" 2>/dev/null && pwd),$(GAN_COURSE_DATA))
endif

.PHONY: help course lab test check site chinese bench browser colab hub kit exercises clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

course: $(STAMP) ## install if needed, run all chapters, leave pages in build/
	$(BIN)/gan-course run --jobs $(JOBS)

lab: $(STAMP) ## open the course in JupyterLab
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/chapters/00_start_here.ipynb

test: $(STAMP) build/summary.json ## unit tests side by side, then what `make course` printed against what is committed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal
	$(BIN)/gan-course compare

check: $(STAMP) ## lint, notebook hygiene, links, exercises up to date, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/gan-course check
	$(BIN)/gan-course badges --check
	$(BIN)/gan-course exercises --check
	$(BIN)/mypy

site: $(STAMP) no-site ## build the site in build/site/ from the outputs that are committed, and follow its links
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	$(BIN)/sphinx-build -q -W -j auto -c docs . build/site
	$(BIN)/python docs/check_site.py build/site

# The site is built anew each time: no page of a file that is gone stays, and every warning comes again.
.PHONY: no-site
no-site:
	rm -rf build/site

# These measure how fast a page answers: nothing may run beside them.
CLOCKED := tests/browser/test_01_lab.py tests/browser/test_14_economics.py

browser: $(STAMP) site ## drive chapters in JupyterLab with Chromium, as a student would; read the site
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[browser]"
	npm install --silent --no-audit --no-fund --prefix build/node axe-core@4 iwer@2.5
	$(BIN)/python -m pytest -rs --capture=no $(CLOCKED)
	$(BIN)/python -m pytest -rs -n 2 --dist loadfile tests/browser $(addprefix --ignore=,$(CLOCKED))

colab: $(STAMP) ## install and run the course beside the packages that Colab ships
	$(BIN)/python -m pytest -rs --capture=no tests/colab

hub: $(STAMP) ## start a JupyterHub and log a class of ten in at once
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[hub]"
	npm install --silent --no-audit --no-fund --prefix build/node configurable-http-proxy@5
	$(BIN)/python -m pytest -rs --capture=no tests/hub

kit: $(STAMP) ## bundle the course, install it with no network and run chapter 00: a few minutes
	$(BIN)/python -m pytest -rs --capture=no tests/kit

chinese: $(STAMP) ## make the Chinese notebooks in build/zh_CN/ and run them; the site then has them, too
	$(BIN)/gan-course translate build
	$(BIN)/gan-course run --root build/zh_CN --update

bench: $(STAMP) ## measure what the course promises about speed and quality
	$(BIN)/python -m bench

exercises: $(STAMP) ## write exercises/ from solutions/
	$(BIN)/gan-course exercises

clean: ## remove the environment, pages and caches
	rm -rf .venv build runs *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# Who tests first, before the course has run, runs it here.
build/summary.json: | $(STAMP)
	$(BIN)/gan-course run --jobs $(JOBS)

# Made anew only when what is to be installed has changed.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "The course needs Python 3.11 or newer, but $(PYTHON) is %d.%d: install one and run make PYTHON=/path/to/it." % sys.version_info[:2])'
	@echo "Installing the course into .venv: once, a few minutes."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[run,dev,diffusion,video]"
	@touch $@
