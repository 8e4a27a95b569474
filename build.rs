//! Generates Rust from `proto/`, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = [
        "proto/csi/csi.proto",
        "proto/kubelet/registration.proto",
        "proto/csidoctor/v1/collector.proto",
    ];
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure()
        // A scan is weighed before it is decoded, and kept as it came.
        .extern_path(".csidoctor.v1.ReportRequest", "crate::proto::ReportRequest")
        .compile_fds(descriptors)?;
    Ok(())
}
