//! What can be done to a component's releases, and to the host that has them; drawn at random.

use laterna_tests::cars::Version;
use laterna_tests::guests::misbehaving;
use laterna_tests::releases::{cars_v1, cars_v2, variant};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// At least so many steps, and fewer than that.
const STEPS_PER_CASE: std::ops::Range<usize> = 4..16;

/// What a file has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bytes {
    V1,
    V1Variant,
    V2,
    V2Variant,
    /// It may be deployed, and traps at the first event of every log here.
    Trapping,
    /// Half of a component.
    Half,
    /// A component that calls itself otherwise.
    Misnamed,
}

impl Bytes {
    pub fn content(self) -> &'static [u8] {
        static CONTENTS: OnceLock<BTreeMap<Bytes, Vec<u8>>> = OnceLock::new();
        let contents = CONTENTS.get_or_init(|| {
            BTreeMap::from([
                (Self::V1, cars_v1().to_vec()),
                (Self::V1Variant, variant(cars_v1(), 1)),
                (Self::V2, cars_v2().to_vec()),
                (Self::V2Variant, variant(cars_v2(), 1)),
                (Self::Trapping, misbehaving(&json!({ "name": "cars", "consumes": ["Trapped"] }))),
                (Self::Half, cars_v2()[..cars_v2().len() / 2].to_vec()),
                (Self::Misnamed, misbehaving(&json!({ "name": "bikes", "consumes": ["Trapped"] }))),
            ])
        });
        &contents[&self]
    }

    /// How it folds, if it can.
    pub fn version(self) -> Option<Version> {
        match self {
            Self::V1 | Self::V1Variant => Some(Version::One),
            Self::V2 | Self::V2Variant => Some(Version::Two),
            Self::Trapping | Self::Half | Self::Misnamed => None,
        }
    }

    pub fn may_be_deployed(self) -> bool {
        !matches!(self, Self::Half | Self::Misnamed)
    }
}

/// What a host says becomes of a release that could serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: the manifest says, and those here say nothing, either.
    Unsaid,
    Auto,
    Hold,
    HoldIfDifferent,
}

impl Policy {
    pub fn flags(self) -> Vec<&'static str> {
        match self {
            Self::Unsaid => Vec::new(),
            said => vec!["--policy", said.told().0],
        }
    }

    /// What is recorded of a release, and who says so.
    pub fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Unsaid => ("auto", "manifest"),
            Self::Auto => ("auto", "operator"),
            Self::Hold => ("hold", "operator"),
            Self::HoldIfDifferent => ("hold-if-different", "operator"),
        }
    }

    pub fn is_auto(self) -> bool {
        self.told().0 == "auto"
    }
}

/// What is done to one component, and under which settings.
#[derive(Debug, Clone)]
pub struct Case {
    /// The host's when it is started first.
    pub policy: Policy,
    /// How many releases are kept warm.
    pub warm: usize,
    pub steps: Vec<Step>,
}

/// One thing that is done, and what becomes of the host before its effects have settled.
#[derive(Debug, Clone)]
pub struct Step {
    pub order: Order,
    pub then: Then,
}

#[derive(Debug, Clone)]
pub enum Order {
    Append(Vec<u16>),
    Drop(Bytes),
    /// The file's bytes are written once more.
    Touch,
    DeleteFile,
    Upload(Bytes),
    Rebuild,
    RollBack(Which),
    Promote(Which),
    Abort(Which),
    Pause(Paused),
    Remove {
        purge: bool,
    },
}

/// Which release an order says that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Unsaid,
    /// The one that it can be about; of the warm ones, the one that served the longest ago.
    Meant,
    /// Any, counted around; also one that never was.
    Any(u8),
}

/// What becomes of the host; it is started anew with a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Settle,
    Kill(Policy),
    Stop(Policy),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    Nothing,
    Builds,
    Everything,
}

impl Paused {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Builds => "builds",
            Self::Everything => "everything",
        }
    }
}

/// Any case.
pub fn case() -> impl Strategy<Value = Case> {
    let warm = prop_oneof![1 => Just(0), 2 => Just(1), 2 => Just(2_usize)];
    let steps = proptest::collection::vec(step(), STEPS_PER_CASE);
    (policy(), warm, steps).prop_map(|(policy, warm, steps)| Case { policy, warm, steps })
}

fn step() -> impl Strategy<Value = Step> {
    let then = prop_oneof![
        6 => Just(Then::Settle),
        2 => policy().prop_map(Then::Kill),
        1 => policy().prop_map(Then::Stop),
    ];
    (order(), then).prop_map(|(order, then)| Step { order, then })
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        2 => Just(Policy::Unsaid),
        1 => Just(Policy::Auto),
        2 => Just(Policy::Hold),
        2 => Just(Policy::HoldIfDifferent),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    let bytes = || {
        prop_oneof![
            3 => Just(Bytes::V1),
            3 => Just(Bytes::V1Variant),
            3 => Just(Bytes::V2),
            3 => Just(Bytes::V2Variant),
            1 => Just(Bytes::Trapping),
            1 => Just(Bytes::Half),
            1 => Just(Bytes::Misnamed),
        ]
    };
    let paused = prop_oneof![
        2 => Just(Paused::Builds),
        1 => Just(Paused::Everything),
        3 => Just(Paused::Nothing),
    ];
    let which = || {
        prop_oneof![
            3 => Just(Which::Unsaid),
            2 => Just(Which::Meant),
            1 => any::<u8>().prop_map(Which::Any),
        ]
    };
    prop_oneof![
        6 => proptest::collection::vec(any::<u16>(), 1..12).prop_map(Order::Append),
        8 => bytes().prop_map(Order::Drop),
        1 => Just(Order::Touch),
        1 => Just(Order::DeleteFile),
        4 => bytes().prop_map(Order::Upload),
        3 => Just(Order::Rebuild),
        4 => which().prop_map(Order::RollBack),
        7 => which().prop_map(Order::Promote),
        2 => which().prop_map(Order::Abort),
        6 => paused.prop_map(Order::Pause),
        2 => any::<bool>().prop_map(|purge| Order::Remove { purge }),
    ]
}
