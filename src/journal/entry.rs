//! What is written down.

use sqlx::sqlite::SqliteConnection;

use crate::model::Timestamp;
use crate::notice::HookId;
use crate::release::Decision;

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Where it went.
    pub hook: HookId,
    /// Its idempotency key.
    pub id: String,
    /// When it ended.
    pub at: Timestamp,
    /// How many attempts there were.
    pub attempts: u32,
    /// How it ended: `delivered`, `failed`, `dropped`, `unfinished` or `rehearsed`.
    pub result: String,
    /// Why, or what was rehearsed; without secrets.
    pub detail: String,
}

/// One row.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Decision(DecisionRow),
    Delivery(DeliveryRecord),
}

#[derive(Clone, Debug)]
pub(super) struct DecisionRow {
    id: String,
    rollback: String,
    incident: String,
    at: i64,
    verdict: &'static str,
    until: Option<i64>,
    report: String,
    /// What is sent; kept so that a restart can finish it.
    body: Option<String>,
}

impl Entry {
    pub(super) fn of_decision(decision: &Decision) -> Self {
        Self::Decision(DecisionRow {
            id: decision.id.clone(),
            rollback: decision.rollback.clone(),
            incident: decision.incident.clone(),
            at: decision.at.millis(),
            verdict: decision.verdict.as_str(),
            until: decision.verdict.until().map(Timestamp::millis),
            report: decision.report.to_json().to_string(),
            body: decision.delivery.as_ref().map(|delivery| delivery.body.to_string()),
        })
    }

    /// Writes the row; it is durable afterwards.
    pub(super) async fn write(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        match self {
            Self::Decision(row) => {
                sqlx::query(
                    "INSERT INTO decision \
                     (id, rollback, incident, at, verdict, until, report, body) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                )
                .bind(&row.id)
                .bind(&row.rollback)
                .bind(&row.incident)
                .bind(row.at)
                .bind(row.verdict)
                .bind(row.until)
                .bind(&row.report)
                .bind(&row.body)
                .execute(connection)
                .await?;
            }
            Self::Delivery(record) => {
                sqlx::query(
                    "INSERT INTO delivery (hook, id, at, attempts, result, detail) \
                     VALUES ($1, $2, $3, $4, $5, $6)",
                )
                .bind(record.hook.as_str())
                .bind(&record.id)
                .bind(record.at.millis())
                .bind(i64::from(record.attempts))
                .bind(&record.result)
                .bind(&record.detail)
                .execute(connection)
                .await?;
            }
        }
        Ok(())
    }
}
