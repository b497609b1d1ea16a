"""A workflow that says something and goes on a little later."""

from temporalio import workflow


@workflow.defn(name="Talking")
class Talking:
    @workflow.run
    async def run(self, pause: float) -> None:
        """Wait so many seconds in between."""
        workflow.logger.info("before %s", "a wait")
        await workflow.sleep(pause)
        workflow.logger.info("after it")
