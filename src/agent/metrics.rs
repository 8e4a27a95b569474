//! What Prometheus is told by an agent: its last scan, beside a few counts. `docs/metrics.md` lists
//! all of it.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::watch;

use crate::model::scan::Scan;

/// What is counted as it happens; every clone counts the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Scans that were finished.
    pub(super) scans: Counter,
    reports: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Counts {
    /// A report was acknowledged, or not.
    pub(super) fn reported(&self, acknowledged: bool) {
        let outcome = if acknowledged {
            "acknowledged"
        } else {
            "failed"
        };
        self.reports.get_or_create(&[("outcome", outcome)]).inc();
    }
}

/// All that an agent tells.
pub(super) fn registry(newest: watch::Receiver<Option<Arc<Scan>>>, counts: &Counts) -> Registry {
    let mut registry = Registry::with_prefix("csi_doctor_agent");
    registry.register(
        "build",
        "The version of the agent",
        Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
    );
    registry.register("scans", "Scans that were finished", counts.scans.clone());
    registry.register(
        "reports",
        "Reports to the collector, by how they ended",
        counts.reports.clone(),
    );
    registry.register_collector(Box::new(Newest(newest)));
    registry
}

/// The last scan when somebody asks; nothing before the first.
#[derive(Debug)]
struct Newest(watch::Receiver<Option<Arc<Scan>>>);

impl Collector for Newest {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let newest = self.0.borrow().clone();
        let Some(scan) = newest else {
            return Ok(());
        };
        let facts = &scan.facts;
        let name = "last_scan_duration";
        let help = "How long the last scan took.";
        let gauge = MetricType::Gauge;
        let took = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), gauge)?;
        ConstGauge::new(scan.took.as_secs_f64()).encode(took)?;
        let name = "last_scan_timestamp";
        let help = "When the last scan looked, by the node's clock.";
        let looked = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), gauge)?;
        ConstGauge::new(facts.observed_at.as_second()).encode(looked)?;
        let help = "Volumes on the node.";
        let volumes = encoder.encode_descriptor("volumes", help, None, gauge)?;
        ConstGauge::new(facts.volumes.items.len()).encode(volumes)?;
        let help = "Facts of the last scan that could not be seen.";
        let gaps = facts.gaps.len() + facts.volumes.gaps.len() + facts.drivers.gaps.len();
        let seen = encoder.encode_descriptor("gaps", help, None, gauge)?;
        ConstGauge::new(gaps).encode(seen)?;
        let help = "What the rules say of their subjects in the last scan.";
        let mut said = encoder.encode_descriptor("verdicts", help, None, gauge)?;
        for rule in &scan.verdicts {
            let verdicts = [
                ("ok", rule.ok as usize),
                ("problem", rule.problems.len()),
                ("unknown", rule.unknowns.len()),
            ];
            for (verdict, count) in verdicts {
                let labels = [("code", rule.code.0.as_str()), ("verdict", verdict)];
                ConstGauge::new(count).encode(said.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
