//! What customers are told, and whether it reached them.
//!
//! Other modules say what happened; how this one goes about telling it is its own affair. Its bookkeeping (`NotificationQueued`,
//! `DeliveryAttempted`) consists of internal events of the module `notifications`: this component is given them because it
//! lies in that module's folder, and nobody else is. What others may know is the outcome, `NotificationDelivered`.

use laterna_sdk::prelude::*;
use serde::Deserialize;

/// The projection.
#[derive(Default)]
pub struct Notifications;

#[derive(Deserialize)]
enum Told {
    OrderShipped { order_id: String, customer_id: String },
    NotificationQueued { notification_id: String, order_id: String, channel: String },
    DeliveryAttempted { notification_id: String, error: String },
    NotificationDelivered { notification_id: String },
}

/// What is owed to a customer for an order.
#[derive(Row, Clone)]
#[row(table = "shipments")]
struct Shipment {
    #[row(key)]
    order_id: String,
    customer_id: String,
}

#[derive(Row, Clone)]
#[row(table = "notifications")]
struct Notification {
    #[row(key)]
    notification_id: String,
    order_id: String,
    channel: String,
    status: String,
    attempts: i64,
    last_error: Option<String>,
}

impl Projection for Notifications {
    fn manifest() -> Manifest {
        Manifest::new("notifications", env!("CARGO_PKG_VERSION"))
            .describe("What customers are told, and whether it reached them.")
            .internal()
            .consume_type("OrderShipped", "its customer is to be told")
            .consume_type("NotificationQueued", "a message is on its way, by which channel")
            .consume_type("DeliveryAttempted", "counts what did not reach the customer, and why")
            .consume_type("NotificationDelivered", "the customer knows")
            .table::<Shipment>()
            .table::<Notification>()
            .query(
                NamedQuery::sql(
                    "untold",
                    "SELECT * FROM shipments WHERE order_id NOT IN
                        (SELECT order_id FROM notifications WHERE status = 'delivered') ORDER BY order_id",
                )
                .describe("Shipments whose customers do not know yet."),
            )
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        match event.decode()? {
            Told::OrderShipped { order_id, customer_id } => store.table().put(Shipment { order_id, customer_id }),
            Told::NotificationQueued { notification_id, order_id, channel } => store.table().insert(Notification {
                notification_id,
                order_id,
                channel,
                status: "queued".to_owned(),
                attempts: 0,
                last_error: None,
            }),
            Told::DeliveryAttempted { notification_id, error } => change(store, &notification_id, |notification| {
                notification.attempts += 1;
                notification.last_error = Some(error);
            }),
            Told::NotificationDelivered { notification_id } => change(store, &notification_id, |notification| {
                notification.attempts += 1;
                notification.status = "delivered".to_owned();
            }),
        }
    }
}

/// Changes a notification, which must be there.
fn change(store: &Store, notification_id: &str, change: impl FnOnce(&mut Notification)) -> Result<()> {
    match store.table().update(notification_id, change)? {
        true => Ok(()),
        false => Err(Error::new(format_args!("there is no notification `{notification_id}`"))),
    }
}

laterna_sdk::export!(Notifications);
