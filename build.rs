//! Generates Rust from `proto/`, without protoc.

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = [
        "proto/csi/csi.proto",
        "proto/kubelet/registration.proto",
        "proto/csidoctor/v1/collector.proto",
    ];
    // What reflection tells: our own services, and not those of which we are a client.
    let own = protox::compile([files[2]], ["proto"])?;
    let out = std::env::var("OUT_DIR")?;
    std::fs::write(format!("{out}/csidoctor.bin"), own.encode_to_vec())?;
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure()
        // A scan is weighed before it is decoded, and kept as it came.
        .extern_path(".csidoctor.v1.ReportRequest", "crate::proto::ReportRequest")
        .compile_fds(descriptors)?;
    Ok(())
}
