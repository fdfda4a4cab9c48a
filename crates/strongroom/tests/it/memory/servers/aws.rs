//! AWS Secrets Manager: what the SDK leaves of a value.

use crate::aws::account::Account;
use crate::memory::{Canary, Counted, Holder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_aws_leaves_is_known() {
    let Some(account) = Account::new() else {
        return;
    };
    let canary = Canary::draw();
    account.create("app/token", canary.text()).await;
    let mut holder = Holder::start(&account.address());
    let env = account.env();
    for name in env.names() {
        holder = holder.var(name, env.var(name).unwrap().unwrap());
    }
    let Some(counted) = Counted::of(holder, &canary) else {
        return;
    };
    counted.assert_at_most("AWS", 2, 1);
}
