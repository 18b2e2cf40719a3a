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
        let list = list_models(&target.provider).await.unwrap();
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
    let refused = list_models(&target.provider).await;
    assert!(matches!(refused, Err(CatalogError::Refused(401))), "{refused:?}");
    let page = speaking(&target, Dialect::Http);
    let nowhere = list_models(&page.provider).await;
    assert!(matches!(nowhere, Err(CatalogError::Unknown)), "{nowhere:?}");
    simulator.stop().await;
    let gone = list_models(&target.provider).await;
    assert!(matches!(gone, Err(CatalogError::Broken(_))), "{gone:?}");
}
