# Everything a contributor runs. `make help` lists the targets.

# The fetched Node, where there is one, goes first: npm, npx and scripts then use it.
export PATH := $(CURDIR)/.tools/node/bin:$(PATH)
installed := node_modules/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check bench build clean setup node brokers brokers-stop faults chaos

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## run the demo on the embedded default
	@bin/daybook demo

test: setup ## everything: build, types, lint, boundaries, unit, contracts, scenarios
	@node tools/run-tests.mjs test

check: setup ## types, lint, boundaries, unit: under a minute
	@node tools/run-tests.mjs check

bench: build ## measure throughput and latency
	@node bench/run.mjs

build: setup ## compile src into dist
	@node_modules/.bin/tsc -b src examples

setup: $(installed) ## a fitting Node and the dependencies, when they are missing or changed

clean: ## remove what was built; keeps the dependencies and the fetched Node
	rm -rf dist .cache coverage

node:
	@tools/ensure-node.sh

# Install scripts stay off: nothing in the tree needs one, and one of them reports to its maker.
$(installed): package-lock.json | node
	npm ci --ignore-scripts
	@touch $@

# stdout carries the DAYBOOK_* lines and nothing else, so that it can be read by a shell or a program.
brokers: ## Kafka, RabbitMQ, PostgreSQL on 127.0.0.1:19092, 16672, 15432, without Docker (KAFKA_PORT= RABBITMQ_PORT= POSTGRES_PORT= KAFKA_NODES=3 TLS=on ONLY=kafka,postgres)
	@$(MAKE) -s setup >&2
	@node tools/brokers/start.mjs

brokers-stop: ## stop what make brokers started; the data stays in .brokers (ONLY=)
	@node tools/brokers/stop.mjs

faults: setup ## kill and freeze Kafka under load and count what is lost: about a quarter of an hour, three nodes of its own (CASE=kill-leader,... KAFKA_PORT=29092)
	@node tools/faults/run.mjs

chaos:
	@echo 'make $@: not built yet' >&2; exit 2
