# Thin targets: what they run is what CI runs.

.PHONY: check fmt clippy test doc clients test-node e2e soak bench fuzz deny bless scan dev demo

check: fmt clippy test doc

fmt:
	cargo fmt --check

clippy:
	cargo clippy --all-targets --locked -- -D warnings
	cargo clippy --test e2e --locked -- -D warnings

test:
	cargo test --locked

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked

# A real control plane on the loopback, and deploy/ applied to it. CHAPTERS="rights answers" runs some only.
e2e:
	tests/cluster/build.sh
	cargo test --locked --test e2e -- $(CHAPTERS)

# The collector's interface as docs/api.md says it, by grpcurl (built from Go modules) and curl.
clients:
	cargo build --locked
	tests/clients/run.sh target/debug

# The collector for longer than `cargo test` has: 200 agents and ten kills, garbage for a minute, a year of findings.
soak:
	CSI_DOCTOR_SOAK=1 cargo test --locked --test it -- --nocapture --test-threads 1 killed:: garbage::
	CSI_DOCTOR_SOAK=1 cargo test --locked --lib -- --nocapture replays::year

# Licences and sources; the advisory database needs the network and is no part of it.
deny:
	cargo deny --offline check licenses bans sources

# Rewrites the expected texts of tests; then read the diff.
bless:
	UPDATE_EXPECT=1 TRYCMD=overwrite cargo test

# The agent once, against a host root that is part of the repository.
scan:
	cargo run --bin csi-doctor-agent -- scan --once --node-name node-1 \
		--host-root tests/scenarios/healthy/host --manifests tests/scenarios/healthy/manifests \
		--kubelet-dir /var/lib/kubelet

# A healthy node with agent and collector on localhost, until Ctrl-C.
dev:
	cargo run -- up

# What needs root, loop devices and this kernel's filesystems.
test-node:
	cargo build --locked
	tests/node/facts.sh target/debug/csi-doctor-lab
	tests/node/judged.sh target/debug/csi-doctor-lab
	tests/node/expansion.sh target/debug/csi-doctor-lab
	tests/node/cycles.sh target/debug/csi-doctor-lab
	tests/node/full_disk.sh target/debug

demo:
	cargo run -- demo

# What a scan costs beside its floor; root, as the first process of namespaces of its own.
bench:
	cargo bench --locked --profile e2e --bench causes
	cargo bench --locked --profile e2e --bench collector
	cargo bench --locked --profile e2e --bench scan --no-run
	unshare --mount --pid --fork --mount-proc $$(cargo bench --locked --profile e2e --bench scan --no-run 2>&1 | sed -n 's/.*(\(target[^)]*\)).*/\1/p')
	tests/cluster/build.sh
	cargo bench --locked --profile e2e --bench cluster

# Parsers on mutated inputs, each an eighth of the time: make fuzz SECONDS=600
fuzz: SECONDS ?= 60
fuzz:
	SECONDS_TO_RUN=$(SECONDS) cargo bench --locked --profile e2e --bench fuzz
