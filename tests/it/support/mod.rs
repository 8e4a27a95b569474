//! What stands at the addresses of the edges in tests.

pub(crate) mod apiserver;
pub(crate) mod events;
pub(crate) mod fake_plugin;
pub(crate) mod http;
pub(crate) mod running;

/// Whether `make soak` asks: the same tests, larger and longer.
pub(crate) fn is_soak() -> bool {
    std::env::var_os("CSI_DOCTOR_SOAK").is_some()
}
