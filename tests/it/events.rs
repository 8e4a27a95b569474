//! Events: put once, whatever the API server answers meanwhile.

use csi_doctor::kubernetes::client;
use csi_doctor::kubernetes::events::{Events, Put};
use csi_doctor::model::finding::Object;
use csi_doctor::model::notice::{Notice, Turn};
use csi_doctor::model::sample;

use crate::support::events::EventServer;

fn notice() -> Notice {
    let claim = Object::Claim(sample::claim().claim);
    Notice {
        on: claim.clone(),
        code: "StaleMount".into(),
        subject: claim,
        episode: sample::noon(),
        turn: Turn::Opened,
        is_warning: true,
        note: "It is stale.".to_owned(),
        at: sample::noon(),
    }
}

#[tokio::test]
async fn an_event_is_put_once_and_every_answer_is_understood() {
    let server = EventServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = server.kubeconfig(folder.path());
    let client = client::connect(Some(&kubeconfig), "test").await.unwrap();
    let events = Events::new(client, "collector-0");
    server.change(|board| board.answers = vec![503, 403, 422, 429]);
    assert_eq!(events.put(&notice()).await, Put::Failed("503: no".into()));
    let right = "the right is missing; a role must grant the verb create on events.events.k8s.io";
    assert_eq!(events.put(&notice()).await, Put::Refused(right.into()));
    assert_eq!(events.put(&notice()).await, Put::Refused("no".into()));
    assert_eq!(events.put(&notice()).await, Put::Failed("429: no".into()));
    assert_eq!(events.put(&notice()).await, Put::Made);
    assert_eq!(events.put(&notice()).await, Put::Known);
    let over = Notice {
        turn: Turn::Resolved,
        ..notice()
    };
    assert_eq!(events.put(&over).await, Put::Made);
    let board = server.wait(|board| board.tries == 7).await;
    assert_eq!(board.events.len(), 2);
}

#[tokio::test]
async fn nobody_at_the_address_is_a_failure() {
    let server = EventServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = server.kubeconfig(folder.path());
    let text = std::fs::read_to_string(&kubeconfig).unwrap();
    let at = text.find("127.0.0.1:").unwrap();
    let end = at + text[at..].find('"').unwrap();
    std::fs::write(&kubeconfig, text.replace(&text[at..end], "127.0.0.1:1")).unwrap();
    let client = client::connect(Some(&kubeconfig), "test").await.unwrap();
    let put = Events::new(client, "collector-0").put(&notice()).await;
    assert!(matches!(put, Put::Failed(_)), "{put:?}");
}
