//! What stands at the addresses of the edges in tests.

pub(crate) mod fake_plugin;
pub(crate) mod http;
pub(crate) mod running;
