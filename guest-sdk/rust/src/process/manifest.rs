use crate::bindings::process::exports::laterna::plugin::process as wit;

/// What a process manager says of itself: its name, what it consumes, and what it produces.
///
/// ```
/// use laterna_sdk::ProcessManifest;
///
/// let manifest = ProcessManifest::new("reminders", "1.0.0")
///     .describe("Reminds of a payment once a day.")
///     .consume_type("OrderPlaced", "the payment is waited for")
///     .consume_type("OrderPaid", "nobody needs to be reminded")
///     .produce("PaymentReminded", "a day went by without a payment")
///     .from_now();
/// ```
#[derive(Debug)]
pub struct ProcessManifest(wit::Manifest);

impl ProcessManifest {
    /// A process manager called `name` (that of its file, without `.wasm`), in the semantic version `version` for people.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", env!("CARGO_PKG_VERSION"));
    /// ```
    pub fn new(name: &str, version: &str) -> Self {
        Self(wit::Manifest {
            name: name.into(),
            version: version.into(),
            description: String::new(),
            consumes: Vec::new(),
            produces: Vec::new(),
            begins: None,
            visibility: wit::Visibility::Public,
            on_failure: wit::OnFailure::Halt,
            sequence: wit::Sequence::ByStream,
            policy: wit::Policy::Auto,
        })
    }

    /// Says in a sentence what it does.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").describe("Reminds of a payment once a day.");
    /// ```
    #[must_use]
    pub fn describe(mut self, description: &str) -> Self {
        self.0.description = description.into();
        self
    }

    /// Consumes the events of a type, and says why. Its own effects come back to it only if it consumes their types.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").consume_type("OrderPaid", "nobody needs to be reminded");
    /// ```
    #[must_use]
    pub fn consume_type(self, event_type: &str, why: &str) -> Self {
        self.consume(wit::Selector::EventType(event_type.into()), None, why)
    }

    /// Consumes the events of a type in this version of its shape, and says why. Events of an older version come through
    /// [upcasters](crate::Upcaster).
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").consume_version("OrderPaid", 2, "no need to remind");
    /// ```
    #[must_use]
    pub fn consume_version(self, event_type: &str, version: u32, why: &str) -> Self {
        self.consume(wit::Selector::EventType(event_type.into()), Some(version), why)
    }

    /// Consumes the events of the streams of a category (`order` for `order-1042`), and says why. Their enum needs a variant with
    /// `#[serde(other)]` for types that it does not name.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").consume_category("order", "follows each of them");
    /// ```
    #[must_use]
    pub fn consume_category(self, category: &str, why: &str) -> Self {
        self.consume(wit::Selector::Category(category.into()), None, why)
    }

    fn consume(mut self, what: wit::Selector, version: Option<u32>, why: &str) -> Self {
        self.0.consumes.push(wit::Subscription { what, version, why: why.into() });
        self
    }

    /// Appends events of a type, and says why. It can append no others.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest =
    ///     ProcessManifest::new("reminders", "1.0.0").produce("PaymentReminded", "a day went by without a payment");
    /// ```
    #[must_use]
    pub fn produce(mut self, event_type: &str, why: &str) -> Self {
        self.0.produces.push(wit::Product { event_type: event_type.into(), why: why.into() });
        self
    }

    /// Its first release reacts to all of history: whatever follows from it is done. Whoever deploys a manager that says neither this nor
    /// [`from_now`](Self::from_now) must say which.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").from_start();
    /// ```
    #[must_use]
    pub fn from_start(mut self) -> Self {
        self.0.begins = Some(wit::Beginning::Start);
        self
    }

    /// Its first release knows all of history, and does nothing about it: what would have followed from it is not done.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").from_now();
    /// ```
    #[must_use]
    pub fn from_now(mut self) -> Self {
        self.0.begins = Some(wit::Beginning::Now);
        self
    }

    /// Only readers of the component's own module may look at its instances.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").internal();
    /// ```
    #[must_use]
    pub fn internal(mut self) -> Self {
        self.0.visibility = wit::Visibility::Internal;
        self
    }

    /// An event that it cannot react to is set aside with the later ones of its sequence, and the others go on. Otherwise it halts
    /// before the event.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").park();
    /// ```
    #[must_use]
    pub fn park(mut self) -> Self {
        self.0.on_failure = wit::OnFailure::Park;
        self
    }

    /// Events with the same correlation id are a sequence; those without one are one by their stream, as all are unless something
    /// else is said.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").park().sequence_by_correlation();
    /// ```
    #[must_use]
    pub fn sequence_by_correlation(mut self) -> Self {
        self.0.sequence = wit::Sequence::ByCorrelation;
        self
    }

    /// Events with the same value at this JSON pointer into their data are a sequence; those without one are one by their stream.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").park().sequence_by_data("/order_id");
    /// ```
    #[must_use]
    pub fn sequence_by_data(mut self, pointer: &str) -> Self {
        self.0.sequence = wit::Sequence::ByData(pointer.into());
        self
    }

    /// A new release waits until its operator promotes it, instead of taking the place of the one that serves once it could. What the
    /// operator's configuration says comes first.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").hold();
    /// ```
    #[must_use]
    pub fn hold(mut self) -> Self {
        self.0.policy = wit::Policy::Hold;
        self
    }

    /// A new release waits to be promoted where it would have decided anything differently from the one that serves. What the
    /// operator's configuration says comes first.
    ///
    /// ```
    /// # use laterna_sdk::ProcessManifest;
    /// let manifest = ProcessManifest::new("reminders", "1.0.0").hold_if_different();
    /// ```
    #[must_use]
    pub fn hold_if_different(mut self) -> Self {
        self.0.policy = wit::Policy::HoldIfDifferent;
        self
    }

    pub(crate) fn into_wit(self) -> wit::Manifest {
        self.0
    }
}
