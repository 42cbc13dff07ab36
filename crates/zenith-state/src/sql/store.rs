//! [`StateStore`](crate::StateStore) over the tables.

/// Makes a store of a type with a method `sql`.
macro_rules! sql_state_store {
    ($store:ty) => {
        impl $crate::StateStore for $store {
            async fn connectors(&self) -> $crate::Result<Vec<$crate::Connector>> {
                $crate::sql::applied::connectors(self.sql()).await
            }

            async fn put_connector(&self, connector: &$crate::Connector) -> $crate::Result<()> {
                $crate::sql::applied::put_connector(self.sql(), connector).await
            }

            async fn remove_connector(&self, name: &str) -> $crate::Result<bool> {
                $crate::sql::applied::remove_connector(self.sql(), name).await
            }

            async fn pipelines(&self) -> $crate::Result<Vec<$crate::PipelineRecord>> {
                $crate::sql::applied::pipelines(self.sql()).await
            }

            async fn put_pipeline(&self, pipeline: &$crate::PipelineRecord) -> $crate::Result<()> {
                $crate::sql::applied::put_pipeline(self.sql(), pipeline).await
            }

            async fn set_paused(&self, pipeline: &str, paused: bool) -> $crate::Result<bool> {
                $crate::sql::applied::set_paused(self.sql(), pipeline, paused).await
            }

            async fn remove_pipeline(&self, pipeline: &str) -> $crate::Result<bool> {
                $crate::sql::applied::remove_pipeline(self.sql(), pipeline).await
            }

            async fn add_schema(&self, pipeline: &str, change: &$crate::SchemaChange) -> $crate::Result<u32> {
                $crate::sql::schemas::add(self.sql(), pipeline, change).await
            }

            async fn schemas(&self, pipeline: &str) -> $crate::Result<Vec<$crate::SchemaVersion>> {
                $crate::sql::schemas::all(self.sql(), pipeline).await
            }

            async fn checkpoint(&self, pipeline: &str) -> $crate::Result<Option<$crate::Checkpoint>> {
                $crate::sql::progress::checkpoint(self.sql(), pipeline).await
            }

            async fn advance(&self, pipeline: &str, checkpoint: &$crate::Checkpoint) -> $crate::Result<()> {
                $crate::sql::progress::advance(self.sql(), pipeline, checkpoint).await
            }

            async fn begin_intent(&self, intent: &$crate::Intent) -> $crate::Result<()> {
                $crate::sql::progress::begin_intent(self.sql(), intent).await
            }

            async fn commit_intent(
                &self,
                pipeline: &str,
                token: &str,
                checkpoint: &$crate::Checkpoint,
                mismatches: &$crate::Mismatches,
            ) -> $crate::Result<()> {
                $crate::sql::progress::commit_intent(self.sql(), pipeline, token, checkpoint, mismatches)
                    .await
            }

            async fn abandon_intent(&self, pipeline: &str, token: &str) -> $crate::Result<()> {
                $crate::sql::progress::abandon_intent(self.sql(), pipeline, token).await
            }

            async fn open_intents(&self, pipeline: &str) -> $crate::Result<Vec<$crate::Intent>> {
                $crate::sql::progress::open_intents(self.sql(), pipeline).await
            }

            async fn reset(
                &self,
                pipeline: &str,
                checkpoint: Option<&$crate::Checkpoint>,
            ) -> $crate::Result<()> {
                $crate::sql::progress::reset(self.sql(), pipeline, checkpoint).await
            }

            async fn epoch(&self, pipeline: &str) -> $crate::Result<u64> {
                $crate::sql::progress::epoch(self.sql(), pipeline).await
            }

            async fn schema_versions(&self) -> $crate::Result<std::collections::BTreeMap<String, u32>> {
                $crate::sql::schemas::versions(self.sql()).await
            }

            async fn epochs(&self) -> $crate::Result<std::collections::BTreeMap<String, u64>> {
                $crate::sql::progress::epochs(self.sql()).await
            }

            async fn snapshot(&self, pipeline: &str) -> $crate::Result<Option<$crate::Snapshot>> {
                $crate::sql::snapshot::snapshot(self.sql(), pipeline).await
            }

            async fn begin_snapshot(
                &self,
                pipeline: &str,
                snapshot: &$crate::Snapshot,
            ) -> $crate::Result<()> {
                $crate::sql::snapshot::begin(self.sql(), pipeline, snapshot).await
            }

            async fn finish_partitions(
                &self,
                pipeline: &str,
                parts: &[(u32, u64)],
                mismatches: &$crate::Mismatches,
            ) -> $crate::Result<()> {
                $crate::sql::snapshot::finish_partitions(self.sql(), pipeline, parts, mismatches).await
            }

            async fn finish_snapshot(&self, pipeline: &str, consistent_after: &[u8]) -> $crate::Result<()> {
                $crate::sql::snapshot::finish(self.sql(), pipeline, consistent_after).await
            }

            async fn mismatches(
                &self,
                pipeline: &str,
                after: Option<std::time::SystemTime>,
            ) -> $crate::Result<$crate::Mismatches> {
                $crate::sql::mismatches::read(self.sql(), pipeline, after).await
            }

            async fn mismatch_slots(
                &self,
                pipeline: &str,
            ) -> $crate::Result<Vec<(std::time::SystemTime, $crate::Mismatches)>> {
                $crate::sql::mismatches::slots(self.sql(), pipeline).await
            }

            async fn set_mismatches(
                &self,
                pipeline: &str,
                mismatches: &$crate::Mismatches,
            ) -> $crate::Result<()> {
                $crate::sql::mismatches::set(self.sql(), pipeline, mismatches).await
            }

            async fn recount_values(
                &self,
                pipeline: &str,
                fields: &[String],
                reason: &str,
                instead: &$crate::Mismatches,
            ) -> $crate::Result<()> {
                $crate::sql::mismatches::recount(self.sql(), pipeline, fields, reason, instead).await
            }

            async fn settle_letters(
                &self,
                pipeline: &str,
                letters: &std::collections::BTreeMap<String, u64>,
            ) -> $crate::Result<()> {
                $crate::sql::mismatches::settle(self.sql(), pipeline, letters).await
            }

            async fn start_run(&self, run: &$crate::RunStart) -> $crate::Result<i64> {
                $crate::sql::history::start(self.sql(), run).await
            }

            async fn finish_run(&self, id: i64, end: &$crate::RunEnd) -> $crate::Result<()> {
                $crate::sql::history::finish(self.sql(), id, end).await
            }

            async fn touch_run(&self, id: i64, figures: $crate::Figures) -> $crate::Result<()> {
                $crate::sql::history::touch(self.sql(), id, figures).await
            }

            async fn runs(&self, pipeline: Option<&str>, limit: u32) -> $crate::Result<Vec<$crate::Run>> {
                $crate::sql::history::runs(self.sql(), pipeline, limit).await
            }

            async fn note_conditions(
                &self,
                conditions: &[(String, $crate::Condition)],
            ) -> $crate::Result<()> {
                $crate::sql::operation::note_conditions(self.sql(), conditions).await
            }

            async fn conditions(&self) -> $crate::Result<Vec<(String, $crate::Condition)>> {
                $crate::sql::operation::conditions(self.sql()).await
            }

            async fn add_request(
                &self,
                pipeline: &str,
                action: &str,
                arguments: &str,
            ) -> $crate::Result<i64> {
                $crate::sql::operation::add_request(self.sql(), pipeline, action, arguments).await
            }

            async fn open_requests(&self) -> $crate::Result<Vec<$crate::Request>> {
                $crate::sql::operation::open_requests(self.sql()).await
            }

            async fn request(&self, id: i64) -> $crate::Result<Option<$crate::Request>> {
                $crate::sql::operation::request(self.sql(), id).await
            }

            async fn take_request(&self, id: i64) -> $crate::Result<bool> {
                $crate::sql::operation::take_request(self.sql(), id).await
            }

            async fn note_request(&self, id: i64, progress: &str) -> $crate::Result<()> {
                $crate::sql::operation::note_request(self.sql(), id, progress).await
            }

            async fn cancel_request(&self, id: i64) -> $crate::Result<()> {
                $crate::sql::operation::cancel_request(self.sql(), id).await
            }

            async fn end_request(&self, id: i64, end: &$crate::RequestEnd) -> $crate::Result<()> {
                $crate::sql::operation::end_request(self.sql(), id, end).await
            }

            async fn note_audit(&self, entry: &$crate::AuditEntry) -> $crate::Result<()> {
                $crate::sql::audit::note(self.sql(), entry).await
            }

            async fn audit(&self, limit: u32) -> $crate::Result<Vec<(i64, $crate::AuditEntry)>> {
                $crate::sql::audit::newest(self.sql(), limit).await
            }

            async fn identity(&self, pipeline: &str) -> $crate::Result<Option<$crate::Identity>> {
                $crate::sql::operation::identity(self.sql(), pipeline).await
            }

            async fn set_identity(&self, pipeline: &str, identity: &$crate::Identity) -> $crate::Result<()> {
                $crate::sql::operation::set_identity(self.sql(), pipeline, identity).await
            }

            async fn alerts(&self) -> $crate::Result<String> {
                $crate::sql::alerts::told(self.sql()).await
            }

            async fn set_alerts(&self, told: &str) -> $crate::Result<()> {
                $crate::sql::alerts::set_told(self.sql(), told).await
            }
        }
    };
}

pub(crate) use sql_state_store;
