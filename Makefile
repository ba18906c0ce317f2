# Everything a fresh clone needs. Each target sets .venv up by itself, and again when pyproject.toml has changed.

VENV := .venv
READY := $(VENV)/.ready
PARALLEL := --numprocesses auto --maxprocesses 4

.PHONY: help demo test lint types bench soak instructions fuzz faults umockdev interop reader powercuts powercuts-simulated clean peers tpm deb boot arm fleet alerts fuzz-shield vm docs

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST)

demo: $(READY) ## the whole system on this machine: no hardware, no account
	@$(VENV)/bin/sensor-agent demo

test: $(READY) ## all tests, on at most four cores
	@$(VENV)/bin/pytest $(PARALLEL)

lint: $(READY) ## style and the mistakes that a linter sees
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check

types: $(READY) ## type check, strict
	@$(VENV)/bin/mypy

bench: $(READY) ## what it costs, beside collectd, syslog-ng and others where installed: tables; twenty minutes, best as root
	@set -e; for file in tests/bench/bench_*.py; do echo "== $$file"; $(VENV)/bin/python $$file; done

soak: $(READY) ## ten hours of ticks in twelve minutes, with faults: memory, files and spool stay what they are
	@$(VENV)/bin/python tests/bench/soak.py $(or $(MINUTES),12)

instructions: ## of imports, a start, a tick and a delivery, against tests/bench/instructions.json; WRITE=1 writes it anew
	@WRITE=$(WRITE) bash .ci/run instructions

peers: $(READY) ## enrollment against cfssl, and strongSwan's EST client
	@.ci/packages golang-cfssl strongswan-pki libstrongswan-standard-plugins openssl
	@$(VENV)/bin/pytest tests/peers/peers_*.py

tpm: $(READY) ## a key in a TPM that swtpm plays
	@.ci/packages swtpm tpm2-openssl tpm2-abrmd libtss2-tcti-tabrmd0 dbus-daemon openssl
	@.ci/tpm $(VENV)/bin/pytest tests/peers/tpm_*.py

fuzz: $(READY) ## every decoder against 10,000 random frames
	@FUZZ_EXAMPLES=10000 $(VENV)/bin/pytest tests/sensors/test_any_bytes.py

faults: $(READY) ## a thousand random faults between the daemon's delivery and a shield
	@$(VENV)/bin/python tests/net/trial.py 1000

umockdev: ## the installed agent on hardware that umockdev plays, as nobody; needs root
	@bash .ci/run umockdev

interop: $(READY) ## the agent against the Workers runtime, nginx, Caddy and Java; about a minute and a half
	@.ci/interop-needs build/interop
	@$(VENV)/bin/pytest tests/interop/interop_*.py

reader: $(READY) ## the reader's page in headless Chromium against each kind of shield, half a minute; pictures in build/reader
	@.ci/interop-needs build/interop
	@READER_PICTURES=build/reader $(VENV)/bin/pytest tests/interop/interop_reader.py

fuzz-shield: $(READY) ## every route of Worker, development shield and authority, fuzzed from their OpenAPI descriptions; ten minutes
	@.ci/interop-needs build/interop
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),2000) $(VENV)/bin/pytest -s tests/interop/interop_worker_fuzz.py
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),300) $(VENV)/bin/pytest -s tests/interop/interop_shield_fuzz.py tests/interop/interop_authority_fuzz.py

alerts: ## the example alerts, played by promtool; needs prometheus (Debian), or PROMTOOL=…
	@cd packaging/monitoring && $(or $(PROMTOOL),promtool) check rules alerts.yml && $(or $(PROMTOOL),promtool) test rules alerts_test.yml

fleet: $(READY) ## ten thousand agents through an hour's outage of their shield, on a virtual clock; about two minutes
	@cd tests && PYTHONPATH=..:. ../$(VENV)/bin/python -m fleet.outage $(or $(AGENTS),10000)

powercuts-simulated: $(READY) ## ten thousand power cuts of a recorded spool, beside settings that lose; a minute and a half
	@cd tests && PYTHONPATH=..:. ../$(VENV)/bin/python -m power.survey $(or $(CUTS),10000)

powercuts: $(READY) ## three hundred power cuts by the real kernel, on an ext4 of its own; needs root
	@cd tests && PYTHONPATH=..:. ../$(VENV)/bin/python -m power.kernel $(or $(CUTS),300)

deb: $(READY) ## the Debian package, in dist, as it is published: built and linted in a Debian 13; needs root
	@.ci/packages mmdebstrap
	@root=$$(packaging/tests/root trixie-build) && PYTHON=$(VENV)/bin/python packaging/build-deb --root "$$root"

boot: deb ## that package on a booted Debian 12 and 13, a line for each thing that must be true; needs root
	@packaging/tests/checklist trixie >dist/boot-trixie.log 2>&1 & packaging/tests/checklist bookworm; bookworm=$$?; \
		wait $$!; trixie=$$?; cat dist/boot-trixie.log; exit $$((bookworm + trixie))

vm: deb ## that package on a kernel with buses and power cuts, in QEMU: tests/vm/README.md; needs root, half an hour
	@.ci/packages qemu-system-x86 mmdebstrap e2fsprogs util-linux
	@cd tests && PYTHONPATH=..:. ../$(VENV)/bin/python -m vm.run ../dist/sensor-agent_*_all.deb $(or $(CUTS),20) $(or $(SUITE),trixie)

docs: $(VENV)/.docs ## the documentation site, in build/site: links and anchors checked, nothing fetched by its pages
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --config-file docs/site/mkdocs.yml
	@echo build/site/index.html

arm: ## dist's package on an arm64 and an armhf that qemu plays (SUITE=trixie); needs root; an hour at first
	@.ci/packages qemu-user-static arch-test mmdebstrap
	@set -e; for arch in arm64 armhf; do packaging/tests/arm $$arch $(or $(SUITE),trixie); done

clean: ## remove what these targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
	find agent tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.docs: $(READY)
	@WITH='dev docs' .ci/venv $(VENV)
	@touch $@

$(READY): pyproject.toml .ci/venv
	@echo "setting up $(VENV) with what the tests need (about half a minute; again only when pyproject.toml changes)"
	@.ci/venv $(VENV)
	@touch $@
