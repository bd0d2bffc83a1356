# The list of all commands; each does its work in script/.

.PHONY: help setup demo test check bench bench-peers prove fuzz rig lock stranger

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: ## Make .venv with everything a developer needs
	@script/setup

demo: ## Watch a reading travel from the cuff to the doctor and back
	@script/demo

test: ## Run the checks and all tests
	@script/test

check: ## Run style, types, floors and shell syntax only
	@script/check

bench: setup ## Measure speed, bytes and memory beside their yardsticks
	@.venv/bin/tram bench

SIZE ?= commit
prove: ## Try to break the delivery contract (SIZE=commit, night or release) and print what was found
	@script/prove $(SIZE)

MEGABYTES ?= 100
SEED ?= 20261122
fuzz: ## Hostile bytes into every device driver (MEGABYTES=100 for each, SEED=N); prints what became of them
	@.venv/bin/python -m tests.fuzz --megabytes $(MEGABYTES) --seed $(SEED)

bench-peers: setup ## Beside ThingsBoard's gateway and Node-RED, which are installed first (half an hour)
	@script/bench-peers

rig: ## As root: a station from bare Debian 13 in a container, and what else of the rig is there
	@script/rig

lock: ## Make requirements/*.txt anew from pyproject.toml
	@script/lock

stranger: ## As root: run demo and tests in a bare Debian 12 and 13, and write down how it went
	@script/stranger
