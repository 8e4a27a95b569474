//! What stands at the addresses of the edges in tests.

pub(crate) mod fake_plugin;
