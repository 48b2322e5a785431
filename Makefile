# `make table1` and `make test` start from nothing and need no activation. What is installed is requirements.lock.
.PHONY: table1 test test-slow lint lock install

READY := .venv/.ready

table1: $(READY)
	.venv/bin/snakemake --cores all results/table1.csv
	@.venv/bin/python -m ves results
	@echo 'To make all of it: .venv/bin/snakemake --cores all'

# A process for each core, at most four (each may take 2 GB); a file of tests stays in one, with what its tests share.
test: $(READY)
	.venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: $(READY)
	.venv/bin/python -m pytest -m slow

lint: $(READY)
	scripts/lint

install: $(READY)

$(READY): requirements.lock pyproject.toml scripts/install
	scripts/install
	touch $@

# Versions move only here: `make lock`, then the tests, then the commit. Names, versions and hashes, nothing else.
lock: $(READY)
	.venv/bin/uv pip compile pyproject.toml --all-extras --upgrade --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --python-version 3.12 --python-platform x86_64-manylinux_2_28 \
	    --output-file requirements.lock
