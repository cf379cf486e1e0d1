//! The plan, made of what the steward knows: it takes no time.

use super::{
    Against, Change, Measured, Parking, Plan, ProcessManager, Projection, Retirement, SubscriptionDifference, Upcaster,
    UpcasterDifference, Weighed, manifests,
};
use crate::plugin::manifest::{self, Beginning, Product};
use crate::plugin::{self, Loaded, Manifest, OnFailure, Plugin, Policy, Visibility};
use crate::release::component::RejectError;
use crate::release::control::{Limits, Paused, Record};
use crate::release::machine::State;
use crate::release::offer::Known;
use crate::release::releases::Component;
use crate::release::retire::kept_behind;
use crate::release::steward::Steward;
use crate::release::surface::{Surface, SurfaceDifference};
use crate::release::upcasters::fed_now;
use crate::release::verify::surface;

/// The release that is planned.
pub(in crate::release) struct Wanted<'a> {
    pub(in crate::release) name: &'a str,
    pub(in crate::release) module: &'a str,
    /// Its number, or the one that it would have.
    pub(in crate::release) release: u64,
    pub(in crate::release) limits: &'a Limits,
    /// What there is of its bytes.
    pub(in crate::release) known: Known,
    /// What makes room for it.
    pub(in crate::release) supersedes: Option<u64>,
    /// To what of the history it reacts, where its deployment says.
    pub(in crate::release) begins: Option<Beginning>,
}

impl Steward {
    /// Plans what deploying bytes would come to, that were weighed, or refused.
    pub(in crate::release) fn plan(
        &self,
        name: &str,
        module: &str,
        begins: Option<Beginning>,
        weighed: Result<Weighed, RejectError>,
    ) -> Result<Plan, RejectError> {
        // As where they are deployed: in this order.
        self.admit(name, module)?;
        let weighed = weighed?;
        self.fits(name, module, &weighed.checked.component)?;
        let component = self.components.get(name);
        let known = self.known(name, module, weighed.checked.component.digest());
        let on_its_way = component.and_then(Component::on_its_way).map(|record| record.release);
        let release = component.and_then(|component| component.releases.first()).map_or(0, |newest| newest.release) + 1;
        let wanted = Wanted {
            name,
            module,
            release,
            limits: &self.parts.limits(),
            supersedes: on_its_way.filter(|_| !matches!(known, Known::Candidate(_))),
            known,
            begins,
        };
        Ok(self.draft(&wanted, &weighed))
    }

    /// Makes the plan of a release.
    pub(in crate::release) fn draft(&self, wanted: &Wanted<'_>, weighed: &Weighed) -> Plan {
        let loaded = &weighed.checked.component;
        let component = self.components.get(wanted.name).filter(|component| !component.removed);
        let against = component.and_then(against);
        let change = match loaded {
            Loaded::Plugin(plugin) => {
                let projection = self.of_projection(wanted, weighed, plugin, component);
                match &plugin.manifest().process {
                    None => Change::Projection(Box::new(projection)),
                    Some(process) => {
                        Change::ProcessManager(Box::new(of_process(projection, process, wanted, component)))
                    }
                }
            }
            Loaded::Upcaster(upcaster) => Change::Upcaster(Upcaster {
                steps: upcaster.manifest().steps.clone(),
                feeds: self.rebuilt_with(wanted, upcaster),
            }),
        };
        let is_same = |against: &Against| against.digest == loaded.digest() && against.module == wanted.module;
        Plan {
            name: wanted.name.to_owned(),
            module: wanted.module.to_owned(),
            version: loaded.version().to_owned(),
            digest: loaded.digest().to_owned(),
            same_bytes: against.as_ref().is_some_and(is_same),
            builds: wanted.known == Known::Nothing && change.projection().is_some(),
            limits: wanted.limits.clone(),
            supersedes: wanted.supersedes,
            retires: self.retires(wanted, &change, component),
            then: self.then(wanted, &change, component, against.as_ref()),
            against,
            change,
        }
    }

    fn of_projection(
        &self,
        wanted: &Wanted<'_>,
        weighed: &Weighed,
        plugin: &Plugin,
        component: Option<&Component>,
    ) -> Projection {
        let manifest = plugin.manifest();
        let (live, record) = component.and_then(Component::serving).unzip();
        let before = live.map(|live| live.plugin.manifest());
        let after = Surface { manifest, relations: &weighed.checked.relations };
        let events = weighed.events.clone();
        let count = events.as_ref().map_or(0, |events| events.all.count);
        Projection {
            visibility: manifest.visibility,
            surface: live.map_or_else(
                || SurfaceDifference::first(after),
                |live| SurfaceDifference::between(surface(live), after),
            ),
            subscriptions: SubscriptionDifference::between(before, manifest),
            settings: settings(before, record, manifest, wanted.limits),
            measured: (wanted.known == Known::Nothing)
                .then(|| Measured::of(wanted.name, self.components.values(), count))
                .flatten(),
            events,
            parking: Parking {
                on_failure: manifest.on_failure,
                sequence: manifest.sequence.clone(),
                parked_events: wanted.limits.parked_events,
            },
            upcasters: UpcasterDifference::between(
                record.map_or(&[], |record| record.upcasters.as_slice()),
                self.upcasters_of(manifest),
            ),
            ruling: self.parts.ruling(manifest),
        }
    }

    /// The components that are rebuilt once an upcaster is in force.
    fn rebuilt_with(&self, wanted: &Wanted<'_>, upcaster: &plugin::Upcaster) -> Vec<String> {
        if matches!(wanted.known, Known::Live(_)) {
            return Vec::new();
        }
        let is_rebuilt = |component: &&Component| {
            let feeds = |manifest: &Manifest| upcaster.manifest().feeds(manifest);
            let was_fed = |record: &Record| record.upcasters.iter().any(|feeds| feeds.name == wanted.name);
            fed_now(component).is_some_and(|(serving, newest)| feeds(serving.plugin.manifest()) || was_fed(newest))
        };
        self.components.values().filter(is_rebuilt).map(|component| component.name.clone()).collect()
    }

    /// The releases that are retired once the one that is planned serves.
    fn retires(&self, wanted: &Wanted<'_>, change: &Change, component: Option<&Component>) -> Vec<Retirement> {
        let Some(component) = component else { return Vec::new() };
        let next = match wanted.known {
            Known::Live(_) => return Vec::new(),
            Known::Candidate(release) | Known::Warm(release) => release,
            Known::Nothing => wanted.release,
        };
        let (kept, why) = match change {
            Change::Projection(_) | Change::ProcessManager(_) => {
                let (live, warm) = (component.live.as_ref().map(|live| live.release), &self.parts.config.warm);
                let kept = kept_behind(component, next, live, warm.releases);
                (kept, format!("release {next} serves then, and {} kept before it", warm.told()))
            }
            Change::Upcaster(_) => (Vec::new(), format!("release {next} is in force in its place")),
        };
        let served = component.releases.iter().filter(|record| {
            matches!(record.state, State::Live | State::Warm | State::Returning)
                && record.release != next
                && !kept.contains(&record.release)
        });
        served.map(|record| Retirement { release: record.release, reason: why.clone() }).collect()
    }

    /// What happens with it, in words.
    fn then(
        &self,
        wanted: &Wanted<'_>,
        change: &Change,
        component: Option<&Component>,
        against: Option<&Against>,
    ) -> String {
        let gives_up = wanted
            .supersedes
            .map_or(String::new(), |release| format!("; release {release}, which is on its way, is given up"));
        let then = match (wanted.known, change) {
            (Known::Live(release), _) => format!("nothing: release {release} serves, and has these bytes"),
            (Known::Candidate(release), _) => {
                format!("nothing new: release {release} has these bytes, and is on its way to serve")
            }
            (Known::Warm(release), _) => {
                format!("release {release} has these bytes, and is kept: it serves again, and nothing is built")
            }
            (Known::Nothing, Change::Projection(_) | Change::ProcessManager(_)) => {
                let mut built = change.projection().map_or(String::new(), |one| built(wanted.name, one, against));
                if let Change::ProcessManager(process) = change {
                    built += &acts(process, against);
                }
                let is_paused = component.is_some_and(|component| component.paused != Paused::Nothing);
                if is_paused {
                    format!("builds are paused until `laterna resume {}`; then {built}", wanted.name)
                } else {
                    built
                }
            }
            (Known::Nothing, Change::Upcaster(upcaster)) => in_force(upcaster, against),
        };
        then + &gives_up
    }
}

fn against(component: &Component) -> Option<Against> {
    let of = |release, version: &str, digest: &str, visibility| {
        let module = component.release(release).map_or(&component.module, |record| &record.module).clone();
        Against { release, version: version.to_owned(), digest: digest.to_owned(), module, visibility }
    };
    match (&component.live, &component.upcaster) {
        (Some(live), _) => {
            let manifest = live.plugin.manifest();
            Some(of(live.release, &manifest.version, live.plugin.digest(), manifest.visibility))
        }
        (None, Some(in_force)) => {
            let upcaster = &in_force.upcaster;
            Some(of(in_force.release, &upcaster.manifest().version, upcaster.digest(), Visibility::Public))
        }
        (None, None) => None,
    }
}

/// What else changes; nothing does where there is no release before.
fn settings(before: Option<&Manifest>, record: Option<&Record>, after: &Manifest, limits: &Limits) -> Vec<String> {
    let before = before.zip(record);
    before.map_or_else(Vec::new, |(before, record)| manifests::settings((before, &record.limits), (after, limits)))
}

/// What becomes of a release that is built.
fn built(name: &str, projection: &Projection, against: Option<&Against>) -> String {
    let (policy, promoted) = (projection.ruling.policy, format!("it is held until `laterna promote {name}`"));
    let Some(Against { release, .. }) = against else {
        return match policy {
            Policy::Hold => format!("it is built, and then {promoted}"),
            Policy::Auto | Policy::HoldIfDifferent => {
                "it is built, and serves once it is: it is the first one".to_owned()
            }
        };
    };
    let takes_over = match policy {
        Policy::Hold => {
            return format!("it is built alongside release {release} and compared with it; then {promoted}");
        }
        Policy::Auto => "takes its place",
        Policy::HoldIfDifferent => "takes its place where nothing differs",
    };
    let otherwise = match (policy, projection.parking.on_failure) {
        (Policy::HoldIfDifferent, _) => format!("; otherwise {promoted}"),
        (_, OnFailure::Park) => {
            format!(", unless it leaves events out that release {release} does not: then {promoted}")
        }
        (_, OnFailure::Halt) => String::new(),
    };
    format!("it is built alongside release {release}, compared with it, and {takes_over}{otherwise}")
}

/// From where on a process manager acts that is built.
fn acts(process: &ProcessManager, against: Option<&Against>) -> String {
    match (against, process.begins) {
        (Some(Against { release, .. }), _) => format!(
            ". What it would have done until then is compared with what was done, and not done again; what follows is its own to do, from \
             where release {release} stands"
        ),
        (None, Some(Beginning::Start)) => ". Whatever follows from the whole history is done".to_owned(),
        (None, Some(Beginning::Now)) => ". Nothing of what would have followed from the history is done".to_owned(),
        (None, None) => {
            ". It must be said whether it reacts to the history: `laterna deploy --from start`, or `--from now`"
                .to_owned()
        }
    }
}

fn of_process(
    projection: Projection,
    process: &manifest::Process,
    wanted: &Wanted<'_>,
    component: Option<&Component>,
) -> ProcessManager {
    let live = component.and_then(|component| component.live.as_ref());
    let before = live.and_then(|live| live.plugin.manifest().process.as_ref());
    let (before, after) = (before.map_or(&[][..], |before| &before.produces), &process.produces);
    let only = |of: &[Product], others: &[Product]| {
        let is_new = |product: &&Product| others.iter().all(|other| other.event_type != product.event_type);
        of.iter().filter(is_new).cloned().collect()
    };
    let begins = wanted.begins.or(process.begins);
    ProcessManager {
        projection,
        produces_newly: only(after, before),
        produces_no_longer: only(before, after),
        begins: begins.filter(|_| live.is_none()),
        acts_behind: live.map(|live| live.store.progress().applied),
        replay: None,
        not_replayed: None,
    }
}

/// What becomes of the release of an upcaster.
fn in_force(upcaster: &Upcaster, against: Option<&Against>) -> String {
    let place = against.map_or(String::new(), |against| format!(" in the place of release {}", against.release));
    let rebuilt = match upcaster.feeds.as_slice() {
        [] => "nothing that is deployed is rebuilt for it".to_owned(),
        [one] => format!("{one} is rebuilt with it, alongside"),
        more => format!("{} are rebuilt with it, alongside", more.join(", ")),
    };
    format!("it is in force at once{place}; {rebuilt}")
}
