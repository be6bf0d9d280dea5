//! What pairs have to do with others: who depends on whom, and who is asked before a failure is believed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Config, Site, witness};
use crate::domain::name::{PairName, ServerName, SiteName};
use crate::engine::witness::Witnesses;
use crate::probe::wire::Kit;

/// The pairs that depend on each server.
pub(super) fn dependents(config: &Config) -> HashMap<&ServerName, Arc<[PairName]>> {
    let mut dependents: HashMap<&ServerName, Vec<PairName>> = HashMap::new();
    for pair in &config.pairs {
        let server = config.servers.get(&pair.name.server);
        for parent in server.iter().flat_map(|server| &server.depends_on) {
            dependents.entry(parent).or_default().push(pair.name.clone());
        }
    }
    dependents.into_iter().map(|(parent, pairs)| (parent, pairs.into())).collect()
}

/// Who is asked for the pairs of each site; sites without witnesses of their own share those of the agent.
pub(super) struct Asked {
    all: Option<Arc<Witnesses>>,
    sites: HashMap<SiteName, Arc<Witnesses>>,
}

impl Asked {
    pub(super) fn new(config: &Config, kit: &Arc<Kit>) -> Self {
        let build = |set: &witness::Witnesses| {
            let witness::Witnesses { key, targets, quorum, timeout } = set;
            Arc::new(Witnesses::new(key, targets.clone(), *quorum, *timeout, kit.clone()))
        };
        let of_site = |(name, site): (&SiteName, &Site)| Some((name.clone(), build(site.witnesses.as_ref()?)));
        Self { all: config.witnesses.as_ref().map(build), sites: config.sites.iter().filter_map(of_site).collect() }
    }

    pub(super) fn of(&self, site: &SiteName) -> Option<Arc<Witnesses>> {
        self.sites.get(site).or(self.all.as_ref()).cloned()
    }
}
