//! Lists of models, from the simulated provider.

use super::*;
use crate::prober::{CatalogError, list_models};
use crate::provider::{Standing, standing};

async fn listing(models: &[&str]) -> Simulator {
    let models = models.iter().map(|model| (*model).to_owned()).collect();
    let script = Script { models, ..Script::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::spawn(listener, script, 7).await
}

#[tokio::test]
async fn the_models_of_every_vendor_are_listed_and_one_that_is_not_there_is_missing() {
    let simulator = listing(&["m", "m2"]).await;
    for dialect in Dialect::MODELS {
        let target = speaking(&target(&simulator.base_url()), dialect);
        let list = list_models(&target.provider, &Clock::start()).await.unwrap();
        let ids: Vec<&str> = list.iter().map(|listed| listed.id.as_str()).collect();
        assert_eq!(ids, ["m", "m2"], "{dialect:?}");
        let now = Clock::start().now();
        assert_eq!(standing(&target.provider, "m", &list, now), Standing::Listed);
        // What is behind a deployment of Azure's is not written.
        let is_azure = dialect == Dialect::AzureOpenai;
        let missing = if is_azure { Standing::Unknown } else { Standing::Missing };
        assert_eq!(standing(&target.provider, "other", &list, now), missing, "{dialect:?}");
    }
    simulator.stop().await;
}

#[tokio::test]
async fn a_list_that_is_refused_or_is_nowhere_is_an_error() {
    let script = Script { key: Some("secret".to_owned()), ..Script::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::spawn(listener, script, 7).await;
    let target = target(&simulator.base_url());
    let refused = list_models(&target.provider, &Clock::start()).await;
    assert!(
        matches!(refused, Err(CatalogError::Refused { status: 401, wait: None })),
        "{refused:?}"
    );
    let page = speaking(&target, Dialect::Http);
    let nowhere = list_models(&page.provider, &Clock::start()).await;
    assert!(matches!(nowhere, Err(CatalogError::Unknown)), "{nowhere:?}");
    simulator.stop().await;
    let gone = list_models(&target.provider, &Clock::start()).await;
    assert!(matches!(gone, Err(CatalogError::Broken(_))), "{gone:?}");
}

#[tokio::test]
async fn a_provider_that_asks_to_wait_is_heard() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(&format!("http://{}", listener.local_addr().unwrap()));
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        let _size = socket.read(&mut head).await.unwrap();
        let answer =
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n";
        socket.write_all(answer.as_bytes()).await.unwrap();
    });
    let refused = list_models(&target.provider, &Clock::start()).await.unwrap_err();
    let wait = Some(30_000 * MS);
    assert!(matches!(refused, CatalogError::Refused { status: 429, wait: found } if found == wait));
    assert_eq!(refused.to_string(), "HTTP 429, wait 30s");
    server.await.unwrap();
}
