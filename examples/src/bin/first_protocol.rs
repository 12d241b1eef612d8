//! A service of your own: nodes that meet tell each other their names, by `greet/1` and `greet_…`.
#![expect(clippy::print_stderr, reason = "a program for people to read")]
use p2p_server::{Protocol, ProtocolError, message_set, protocols::Spec, protocols::TypedChannel};
use rpc::Module;
use service_node::{BuildError, Node, Service};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch::Sender;

message_set! {
    /// What can be said: how the sender is called from now on.
    enum Greeting { Name(String) = 0 }
}

/// The service of one node: its own name, and the last hundred that it has heard, newest first.
struct Greet(Sender<String>, Sender<Vec<String>>);

impl Greet {
    /// The body: tells the own name, now and after each change, and notes the peer's.
    async fn talk(self: Arc<Self>, mut peer: TypedChannel<Greeting>) -> Result<(), ProtocolError> {
        let mut own = self.0.subscribe();
        own.mark_changed();
        loop {
            tokio::select! {
                Ok(()) = own.changed() => {
                    let name = own.borrow_and_update().clone(); // no guard over the await
                    peer.send(name).await?;
                }
                message = peer.recv() => {
                    let Greeting::Name(name) = message?;
                    self.1.send_modify(|heard| { heard.truncate(99); heard.insert(0, name) });
                }
            }
        }
    }
}

impl Service for Greet {
    fn protocols(self: &Arc<Self>) -> Vec<Arc<dyn Protocol>> {
        let (greet, spec) = (self.clone(), Spec::new("greet", 1).max_message_size(128));
        vec![Arc::new(spec.protocol(move |_, peer| greet.clone().talk(peer)))]
    }
    fn apis(self: &Arc<Self>) -> Vec<Module> {
        let known = async |greet: Arc<Self>| rpc::Result::Ok(greet.1.borrow().clone());
        let rename = async |greet: Arc<Self>, name: String| {
            (name.len() <= 64).then(|| drop(greet.0.send_replace(name))).ok_or("name too long")
        };
        vec![Module::new("greet").method_of(self, "known", known).method_of(self, "rename", rename)]
    }
}

/// A node with the service, on a port that the system chooses.
fn node(name: &'static str) -> Result<Node, BuildError> {
    let greet = move |_: &_| Greet(Sender::new(name.to_owned()), Sender::default());
    Node::builder().name(name).listen("127.0.0.1:0").service(greet).build()
}

/// Waits until a node has heard these names, and asks by RPC whether it says so.
async fn expect(node: &Node, names: &[&str]) -> anyhow::Result<()> {
    node.service::<Greet>()?.1.subscribe().wait_for(|heard| heard == names).await?;
    let known: Vec<String> = node.attach()?.call("greet_known", ()).await?;
    eprintln!("{} knows {known:?}", node.name());
    anyhow::ensure!(known == names, "{} knows {known:?}, not {names:?}", node.name());
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let check = async {
        let (one, two) = (node("one")?, node("two")?);
        tokio::try_join!(one.start(), two.start())?;
        one.server()?.add_peer(two.server()?.enode())?;
        tokio::try_join!(expect(&one, &["two"]), expect(&two, &["one"]))?;
        let () = one.attach()?.call("greet_rename", ("uno",)).await?;
        expect(&two, &["uno", "one"]).await?;
        tokio::try_join!(one.stop(), two.stop())?;
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), check).await?
}
