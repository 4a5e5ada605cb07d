# Every verb sets up what it needs by itself; with nothing to do that takes a tenth of a second. `make` lists the verbs.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run demo up down status test lint format build deploy logs invoke redrive model model-publish investigator models bench eval-documents eval-agent eval-investigation user chat cases case approve reject close-case pause-agents resume-agents lock clean

# `sam build` asks PATH for python3.13 and pip: the project's own come first.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
# The functions' modules and the layer, for what runs their code outside of Lambda.
CODE := PYTHONPATH=functions/score_transactions:functions/notify_customer:functions/answer_chat:functions/check_grounding:functions/combine_summaries:functions/extract_text:functions/summarize_chunk:layers/backbone

ENV ?=
RECORDS ?=
EVENT ?=
FUNCTION ?=
BUCKET ?=
QUEUE ?=
NAME ?=
GROUP ?=
CUSTOMER ?=
ID ?=
NOTE ?=
OUTCOME ?=
ARGS ?=

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

# ---- on this machine, without an AWS account ------------------------------------------------------------------------

run: ## deploy to the embedded AWS, play transactions, documents and a chat on it, stay up until Ctrl-C
	@scripts/local.sh run

demo: ## the same, then stop; writes .local/demo.json and fails where an expected event did not come
	@scripts/local.sh demo

up: ## leave the stack running in the background; again: deploy what changed (see .local/env, .local/outputs.json)
	@scripts/local.sh up

down: ## end what `make up` started
	@scripts/local.sh down

status: ## say what runs here, and how much waits in which queue
	@scripts/local.sh status

logs: ## show a function's log: FUNCTION=score_transactions
	@$(if $(FUNCTION),,$(error Name it: make logs FUNCTION=score_transactions))scripts/local.sh logs "$(FUNCTION)"

invoke: ## invoke a function: FUNCTION=notify_customer EVENT=events/notify_customer/<name>.json
	@$(if $(and $(FUNCTION),$(EVENT)),,$(error Name both: make invoke FUNCTION=notify_customer EVENT=<file>))scripts/local.sh invoke "$(FUNCTION)" "$(EVENT)"

user: ## create a made-up person: NAME=alice GROUP=customer CUSTOMER=CUST-000001, or GROUP=analyst; ENV=local (default), dev
	@$(if $(and $(NAME),$(GROUP)),,$(error Name both: make user NAME=alice GROUP=customer CUSTOMER=CUST-000001))scripts/bootstrap.sh run
	@.venv/bin/python -m local.people --env "$(or $(ENV),local)" --name "$(NAME)" --group "$(GROUP)" --customer "$(CUSTOMER)"

models: ## fetch a small language model, once (1.1 GB, goes on where it was); LOCAL_MODEL_PROFILE=local-llm puts it to work
	@scripts/bootstrap.sh run
	@scripts/bootstrap.sh models
	@.venv/bin/python -m local.models.weights_fetch

chat: ## chat with the bank's agent as a made-up customer: NAME=alice (or nobody's name), CUSTOMER=CUST-000001; ENV=local, dev
	@scripts/bootstrap.sh run
	@.venv/bin/python -m local.chat --env "$(or $(ENV),local)" --name "$(NAME)" $(if $(GROUP),--group "$(GROUP)") $(if $(CUSTOMER),--customer "$(CUSTOMER)")

cases: ## list the actions that wait for an analyst's decision, and the open cases; ENV=local (default), dev with NAME=<analyst>
	@scripts/bootstrap.sh run
	@.venv/bin/python -m local.approvals cases --env "$(or $(ENV),local)" --name "$(NAME)"

approve: ## approve an action as an analyst: ID=<as make cases lists it>; here a made-up one signs, else NAME=<analyst>
	@$(if $(ID),,$(error Name it: make approve ID=<as make cases lists it>))scripts/bootstrap.sh run
	@.venv/bin/python -m local.approvals approve --env "$(or $(ENV),local)" --name "$(NAME)" --id "$(ID)" --note "$(NOTE)"

reject: ## reject an action as an analyst: ID=<as make cases lists it> NOTE="why"
	@$(if $(ID),,$(error Name it: make reject ID=<as make cases lists it>))scripts/bootstrap.sh run
	@.venv/bin/python -m local.approvals reject --env "$(or $(ENV),local)" --name "$(NAME)" --id "$(ID)" --note "$(NOTE)"

close-case: ## close a case as an analyst: ID=<as make cases lists it> OUTCOME=confirmed_fraud, genuine or unresolved NOTE="why"
	@$(if $(and $(ID),$(OUTCOME)),,$(error Name both: make close-case ID=<as make cases lists it> OUTCOME=confirmed_fraud))scripts/bootstrap.sh run
	@.venv/bin/python -m local.approvals close-case --env "$(or $(ENV),local)" --name "$(NAME)" --id "$(ID)" --outcome "$(OUTCOME)" --note "$(NOTE)"

case: ## show a case as an analyst: what an agent knew, thought and did, step by step: ID=<as make cases lists it>
	@$(if $(ID),,$(error Name it: make case ID=<as make cases lists it>))scripts/bootstrap.sh run
	@.venv/bin/python -m local.approvals case --env "$(or $(ENV),local)" --name "$(NAME)" --id "$(ID)"

pause-agents: ## stop agents before they do the next thing; their cases go to people, who work on; ENV=local (default), dev
	@scripts/bootstrap.sh run
	@.venv/bin/python -m local.agents pause --env "$(or $(ENV),local)"

resume-agents: ## let agents act again; cases that went to people meanwhile stay with them
	@scripts/bootstrap.sh run
	@.venv/bin/python -m local.agents resume --env "$(or $(ENV),local)"

# ---- checking -------------------------------------------------------------------------------------------------------

test: ## run every test; what needs a container skips itself and says so (ARGS="-k name" picks)
	@scripts/bootstrap.sh dev
	@.venv/bin/python -m pytest $(ARGS)

lint: ## check format, style, types and the template
	@scripts/bootstrap.sh dev
	@scripts/lint.sh

format: ## format the Python files
	@scripts/bootstrap.sh dev
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

eval-documents: ## measure how well documents are judged, summarised and found; fails under its bar
	@scripts/bootstrap.sh dev
	@$(CODE) .venv/bin/python -m evaluation.documents

eval-agent: ## play conversations and attacks to the chat on the embedded AWS, judge what was done; fails under its bar
	@scripts/bootstrap.sh dev
	@$(CODE) .venv/bin/python -m evaluation.agent

eval-investigation: ## have the agent investigate flagged transactions whose truth is known; fails under its bar (ARGS="--cases 50")
	@scripts/bootstrap.sh dev
	@$(CODE) .venv/bin/python -m evaluation.investigation $(ARGS)

bench: ## measure on the embedded AWS (RECORDS=<how many>)
	@scripts/bootstrap.sh dev
	@$(CODE) .venv/bin/python -m benchmarks $(if $(RECORDS),--records $(RECORDS)) $(ARGS)

# ---- on AWS ---------------------------------------------------------------------------------------------------------

build: ## sam build
	@scripts/bootstrap.sh run
	@.venv/bin/sam build --cached --parallel

deploy: build ## sam build and sam deploy to an AWS account: ENV=dev (default) or prod, as in samconfig.toml
	@.venv/bin/sam deploy --config-env "$(or $(ENV),dev)"

redrive: ## put dead letters back to work after a fix: ENV=local (default), dev or prod; QUEUE=<logical id> for one queue
	@scripts/bootstrap.sh run
	@scripts/redrive.sh "$(or $(ENV),local)" "$(QUEUE)"

# ---- the fraud model ------------------------------------------------------------------------------------------------

model: ## simulate, train, evaluate: makes the committed artefacts again (ARGS=--check compares only)
	@scripts/bootstrap.sh dev
	@$(CODE) .venv/bin/python -m models.fraud $(ARGS)

investigator: ## replay worlds, train, judge the light profile's investigator (some minutes; ARGS=--check compares only)
	@scripts/bootstrap.sh dev
	@.venv/bin/python -m models.investigator $(ARGS)

model-publish: ## upload model.tar.gz for FraudModel=sagemaker: BUCKET=<bucket>; prints FraudModelDataUrl
	@$(if $(BUCKET),,$(error Name it: make model-publish BUCKET=<bucket>))scripts/bootstrap.sh run
	@$(CODE) .venv/bin/python -m local.publish_model "$(BUCKET)"

# ---- housekeeping ---------------------------------------------------------------------------------------------------

lock: ## resolve requirements/*.in and the layer's again; every version pinned, with hashes
	@scripts/bootstrap.sh dev
	@scripts/lock.sh

clean: ## end what runs here and remove all that was made, .venv included
	@if [ -x .venv/bin/python ]; then .venv/bin/python -m local down; fi
	@rm -rf .venv .local .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
