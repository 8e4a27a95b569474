# Thin targets: what they run is what CI runs.

.PHONY: check fmt clippy test doc clients test-node e2e e2e-node image soak bench fuzz deny bless scan dev demo

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

# A real kubelet with pods on CSI volumes, and the agent as deploy/ ships it; root. CHAPTERS="healthy" runs some only.
e2e-node: IMAGE_PROFILE = e2e
e2e-node: image
	tests/cluster/build.sh node
	cargo test --locked --test e2e --no-run
	tests/cluster/node.sh $$(cargo test --locked --test e2e --no-run 2>&1 | sed -n 's/.*(\(target[^)]*\)).*/\1/p') node $(CHAPTERS)

# The image of deploy/: static programs and nothing else, as an archive. Needs musl-gcc and Rust's musl target.
IMAGE ?= csi-doctor:0.1.0
IMAGE_PROFILE ?= release
MUSL = $(shell uname -m)-unknown-linux-musl
image:
	CC_$(subst -,_,$(MUSL))=musl-gcc cargo build --locked --profile $(IMAGE_PROFILE) --target $(MUSL) \
		--bin csi-doctor-agent --bin csi-doctor-collector
	deploy/image.sh target/image/csi-doctor.tar $(IMAGE) \
		$(addprefix target/$(MUSL)/$(patsubst dev,debug,$(IMAGE_PROFILE))/,csi-doctor-agent csi-doctor-collector)

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
	tests/node/left.sh target/debug/csi-doctor-lab
	tests/node/expansion.sh target/debug/csi-doctor-lab
	tests/node/cycles.sh target/debug/csi-doctor-lab
	tests/node/ended.sh target/debug/csi-doctor-lab
	tests/node/full_disk.sh target/debug

demo:
	cargo run -- demo

# What things cost beside their floors; root. A scan as the first process of namespaces of its own, and built
# as it ships: that build alone takes ten minutes.
bench:
	cargo bench --locked --profile e2e --bench causes
	cargo bench --locked --profile e2e --bench collector
	cargo bench --locked --bench scan --no-run
	unshare --mount --pid --fork --mount-proc $$(cargo bench --locked --bench scan --no-run 2>&1 | sed -n 's/.*(\(target[^)]*\)).*/\1/p')
	tests/cluster/build.sh
	cargo bench --locked --profile e2e --bench cluster

# Parsers on mutated inputs, each an eighth of the time: make fuzz SECONDS=600
fuzz: SECONDS ?= 60
fuzz:
	SECONDS_TO_RUN=$(SECONDS) cargo bench --locked --profile e2e --bench fuzz
