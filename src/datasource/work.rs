//! The task that asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::query::Server;
use crate::release::gate::Answer;
use crate::release::{Datasource, Question};

/// Questions that wait.
pub const QUESTIONS_MAX: usize = 64;

/// The datasources of the releases, by their names.
type ByRelease = Arc<BTreeMap<String, Datasource>>;

/// Asks datasources until it is dropped.
#[derive(Debug)]
pub struct Datasources {
    settings: watch::Sender<ByRelease>,
    task: JoinHandle<()>,
}

impl Datasources {
    /// Starts it.
    pub fn spawn(
        datasources: BTreeMap<String, Datasource>,
        questions: mpsc::Receiver<Question>,
        answers: mpsc::Sender<(Question, Vec<Answer>)>,
    ) -> Self {
        let (settings, current) = watch::channel(Arc::new(datasources));
        Self { settings, task: tokio::spawn(run(current, questions, answers)) }
    }

    /// Takes up other datasources.
    pub fn reload(&self, datasources: BTreeMap<String, Datasource>) {
        self.settings.send_replace(Arc::new(datasources));
    }
}

impl Drop for Datasources {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    mut current: watch::Receiver<ByRelease>,
    mut questions: mpsc::Receiver<Question>,
    answers: mpsc::Sender<(Question, Vec<Answer>)>,
) {
    let mut servers: BTreeMap<String, Server> = BTreeMap::new();
    while let Some(question) = questions.recv().await {
        if current.has_changed().unwrap_or(false) {
            servers.clear();
        }
        let release = question.release.clone();
        let settings = current.borrow_and_update().get(&release).cloned();
        let server = match (servers.get(&release), settings) {
            (Some(server), _) => server.clone(),
            (None, Some(settings)) => match Server::new(settings) {
                Ok(server) => servers.entry(release).or_insert(server).clone(),
                Err(error) => {
                    tracing::error!(release, error, "a datasource cannot be asked");
                    continue;
                }
            },
            (None, None) => continue,
        };
        let answers = answers.clone();
        // A slow one keeps no other release waiting; each ends by its timeout.
        tokio::spawn(async move {
            let said = said(&server, &question).await;
            // A driver that stopped wants no answers.
            let _is_wanted = answers.send((question, said)).await.is_ok();
        });
    }
}

async fn said(server: &Server, question: &Question) -> Vec<Answer> {
    let each = question.exprs.iter().map(|expr| async move {
        server.ask(expr, question.at).await.unwrap_or_else(|error| {
            let release = &question.release;
            tracing::warn!(
                release,
                expr,
                error,
                "a datasource did not answer; its block is left out"
            );
            Answer::Lost
        })
    });
    join_all(each).await
}
