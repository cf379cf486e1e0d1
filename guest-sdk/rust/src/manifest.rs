use crate::bindings::exports::laterna::plugin::fold;
use crate::table::Row;
use crate::value::Value;

/// What a component says of itself: its name, what it consumes, its tables and queries.
///
/// ```
/// use laterna_sdk::prelude::*;
///
/// #[derive(Row, Clone)]
/// #[row(table = "customers")]
/// struct Customer {
///     #[row(key)]
///     customer_id: String,
///     #[row(default)]
///     orders: i64,
/// }
///
/// let manifest = Manifest::new("customers", "1.0.0")
///     .describe("How many orders each customer placed.")
///     .consume_type("OrderPlaced", "counts it for its customer")
///     .table::<Customer>()
///     .schema("CREATE VIEW regulars AS SELECT * FROM customers WHERE orders > 9;")
///     .query(
///         NamedQuery::sql("best", "SELECT * FROM customers ORDER BY orders DESC LIMIT :count")
///             .describe("The customers with the most orders.")
///             .optional("count", ParameterType::Integer, 10, "how many"),
///     );
/// ```
#[derive(Debug)]
pub struct Manifest(fold::Manifest);

impl Manifest {
    /// A component called `name` (that of its file, without `.wasm`), in the semantic version `version` for people.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("customers", env!("CARGO_PKG_VERSION"));
    /// ```
    pub fn new(name: &str, version: &str) -> Self {
        Self(fold::Manifest {
            name: name.into(),
            version: version.into(),
            description: String::new(),
            consumes: Vec::new(),
            schema: String::new(),
            typed_tables: Vec::new(),
            queries: Vec::new(),
            visibility: fold::Visibility::Public,
            on_failure: fold::OnFailure::Halt,
            sequence: fold::Sequence::ByStream,
            policy: fold::Policy::Auto,
        })
    }

    /// Says in a sentence what the read model is for.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("customers", "1.0.0").describe("How many orders each customer placed.");
    /// ```
    #[must_use]
    pub fn describe(mut self, description: &str) -> Self {
        self.0.description = description.into();
        self
    }

    /// Consumes the events of a type, and says why. A component that consumes nothing by name is given every event.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("customers", "1.0.0").consume_type("OrderPlaced", "counts it for its customer");
    /// ```
    #[must_use]
    pub fn consume_type(self, event_type: &str, why: &str) -> Self {
        self.consume(fold::Selector::EventType(event_type.into()), None, why)
    }

    /// Consumes the events of a type in this version of its shape, and says why. Events of an older version come through
    /// [upcasters](crate::Upcaster); one that none leads to this version cannot be applied, nor one of a newer version.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("accounts", "1.0.0").consume_version("UserCreated", 2, "opens the account");
    /// ```
    #[must_use]
    pub fn consume_version(self, event_type: &str, version: u32, why: &str) -> Self {
        self.consume(fold::Selector::EventType(event_type.into()), Some(version), why)
    }

    /// Consumes the events of the streams of a category (`order` for `order-1042`), and says why.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("customers", "1.0.0").consume_category("order", "counts them for their customers");
    /// ```
    #[must_use]
    pub fn consume_category(self, category: &str, why: &str) -> Self {
        self.consume(fold::Selector::Category(category.into()), None, why)
    }

    fn consume(mut self, what: fold::Selector, version: Option<u32>, why: &str) -> Self {
        self.0.consumes.push(fold::Subscription { what, version, why: why.into() });
        self
    }

    /// Only readers of the component's own module may query the read model.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("notifications", "1.0.0").internal();
    /// ```
    #[must_use]
    pub fn internal(mut self) -> Self {
        self.0.visibility = fold::Visibility::Internal;
        self
    }

    /// An event that cannot be applied is set aside with the later ones of its sequence, and the others go on. Otherwise the
    /// projection halts before it.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("accounts", "1.0.0").park();
    /// ```
    #[must_use]
    pub fn park(mut self) -> Self {
        self.0.on_failure = fold::OnFailure::Park;
        self
    }

    /// Events with the same correlation id are a sequence; those without one are one by their stream, as all are unless something
    /// else is said.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("journeys", "1.0.0").park().sequence_by_correlation();
    /// ```
    #[must_use]
    pub fn sequence_by_correlation(mut self) -> Self {
        self.0.sequence = fold::Sequence::ByCorrelation;
        self
    }

    /// Events with the same value at this JSON pointer into their data are a sequence; those without one are one by their stream.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("customers", "1.0.0").park().sequence_by_data("/customer_id");
    /// ```
    #[must_use]
    pub fn sequence_by_data(mut self, pointer: &str) -> Self {
        self.0.sequence = fold::Sequence::ByData(pointer.into());
        self
    }

    /// A new release waits until its operator promotes it, instead of taking the place of the one that serves once it could. What the
    /// operator's configuration says comes first.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("customers", "1.0.0").hold();
    /// ```
    #[must_use]
    pub fn hold(mut self) -> Self {
        self.0.policy = fold::Policy::Hold;
        self
    }

    /// A new release waits to be promoted where anything in its read model differs from the one that serves. What the operator's
    /// configuration says comes first.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("customers", "1.0.0").hold_if_different();
    /// ```
    #[must_use]
    pub fn hold_if_different(mut self) -> Self {
        self.0.policy = fold::Policy::HoldIfDifferent;
        self
    }

    /// Adds the typed table with these rows.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// #[derive(Row, Clone)]
    /// #[row(table = "customers")]
    /// struct Customer {
    ///     #[row(key)]
    ///     customer_id: String,
    /// }
    /// let manifest = Manifest::new("customers", "1.0.0").table::<Customer>();
    /// ```
    #[must_use]
    pub fn table<R: Row>(mut self) -> Self {
        self.0.schema.push_str(&R::schema());
        self.0.typed_tables.push(R::TABLE.into());
        self
    }

    /// Adds tables, indexes and views as SQL. Tables are `STRICT` with a primary key, `WITHOUT ROWID` or `INTEGER`.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("customers", "1.0.0")
    ///     .schema("CREATE TABLE customers (customer_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;");
    /// ```
    #[must_use]
    pub fn schema(mut self, ddl: &str) -> Self {
        self.0.schema.push_str(ddl);
        self.0.schema.push('\n');
        self
    }

    /// Adds a named query.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let manifest = Manifest::new("customers", "1.0.0")
    ///     .query(NamedQuery::sql("all", "SELECT * FROM customers").describe("All customers."));
    /// ```
    #[must_use]
    pub fn query(mut self, query: NamedQuery) -> Self {
        self.0.queries.push(query.0);
        self
    }

    pub(crate) fn into_typed_tables(self) -> Vec<String> {
        self.0.typed_tables
    }

    pub(crate) fn into_wit(self) -> fold::Manifest {
        self.0
    }
}

/// The type of a named query's parameter.
///
/// ```
/// # use laterna_sdk::prelude::*;
/// let query = NamedQuery::sql("big", "SELECT * FROM orders WHERE cents >= :cents AND open = :open")
///     .required("cents", ParameterType::Integer, "of so much at least")
///     .optional("open", ParameterType::Boolean, true, "those that are open, or the others");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterType {
    /// A 64-bit integer.
    Integer,
    /// A 64-bit floating point number.
    Real,
    /// Text.
    Text,
    /// `true` or `false`; SQL sees 1 or 0.
    Boolean,
}

/// A question that a read model answers under a name: `GET /projections/{projection}/queries/{name}`.
///
/// ```
/// # use laterna_sdk::prelude::*;
/// let query = NamedQuery::sql("best", "SELECT * FROM customers ORDER BY orders DESC LIMIT :count")
///     .describe("The customers with the most orders.")
///     .optional("count", ParameterType::Integer, 10, "how many");
/// ```
#[derive(Debug)]
pub struct NamedQuery(fold::NamedQuery);

impl NamedQuery {
    /// Answered by SQL that reads; parameters stand in it as `:name`.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let query = NamedQuery::sql("order", "SELECT * FROM orders WHERE order_id = :id")
    ///     .required("id", ParameterType::Text, "the order's id");
    /// ```
    pub fn sql(name: &str, sql: &str) -> Self {
        Self::new(name, fold::Answer::Sql(sql.into()))
    }

    /// Answered by [`Projection::query`](crate::Projection::query).
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let query = NamedQuery::computed("share").required("country", ParameterType::Text, "the country's name");
    /// ```
    pub fn computed(name: &str) -> Self {
        Self::new(name, fold::Answer::Computed)
    }

    fn new(name: &str, answer: fold::Answer) -> Self {
        Self(fold::NamedQuery { name: name.into(), description: String::new(), parameters: Vec::new(), answer })
    }

    /// Says in a sentence what is answered.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let query = NamedQuery::sql("all", "SELECT * FROM customers").describe("All customers.");
    /// ```
    #[must_use]
    pub fn describe(mut self, description: &str) -> Self {
        self.0.description = description.into();
        self
    }

    /// A parameter that must be given.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let query = NamedQuery::sql("of", "SELECT * FROM customers WHERE country = :country")
    ///     .required("country", ParameterType::Text, "the country's name");
    /// ```
    #[must_use]
    pub fn required(self, name: &str, of_type: ParameterType, description: &str) -> Self {
        self.parameter(name, of_type, None, description)
    }

    /// A parameter that may be left out.
    ///
    /// ```
    /// # use laterna_sdk::prelude::*;
    /// let query = NamedQuery::sql("some", "SELECT * FROM customers LIMIT :count")
    ///     .optional("count", ParameterType::Integer, 10, "how many");
    /// ```
    #[must_use]
    pub fn optional(self, name: &str, of_type: ParameterType, default: impl Into<Value>, description: &str) -> Self {
        self.parameter(name, of_type, Some(default.into()), description)
    }

    fn parameter(mut self, name: &str, of_type: ParameterType, default: Option<Value>, description: &str) -> Self {
        let of_type = match of_type {
            ParameterType::Integer => fold::ParameterType::Integer,
            ParameterType::Real => fold::ParameterType::Real,
            ParameterType::Text => fold::ParameterType::Text,
            ParameterType::Boolean => fold::ParameterType::Boolean,
        };
        self.0.parameters.push(fold::Parameter {
            name: name.into(),
            of_type,
            default,
            description: description.into(),
        });
        self
    }
}
