"""The part of the composition root that answers invocations: its services over the ports, and money and news."""

from functools import cached_property

from pilotlight.adapters.chat_template import ChatTemplates
from pilotlight.services.accounting import Accounting
from pilotlight.services.answering import Answering
from pilotlight.services.async_results import AsyncResults
from pilotlight.services.claiming import Claiming
from pilotlight.services.ending import Ending
from pilotlight.services.inputs import Inputs
from pilotlight.services.invocation_views import InvocationViews
from pilotlight.services.notifying import Notifying
from pilotlight.services.queueing import Queueing
from pilotlight.services.spending import Spending
from pilotlight.services.webhooks import Webhooks
from pilotlight.wiring import Wiring


class AnsweringRuntime(Wiring):
    """Services of invocations, and those that they share with everything else: money and news."""

    @cached_property
    def accounting(self) -> Accounting:
        """The ledger."""
        return Accounting(
            self.deployments,
            region=self.settings.region,
            idle_seconds=self.settings.idle_seconds,
            idle_window_is_billed=self.settings.idle_window_is_billed,
            speeds=self.speeds,
        )

    @cached_property
    def notifying(self) -> Notifying:
        """Telling people."""
        return Notifying(self.topic, self.journal, self.clock)

    @cached_property
    def spending(self) -> Spending:
        """Asking for money where it is spent."""
        claiming = Claiming(self.capacity, self.clock, self.settings.caps)
        rules = self.settings.spending_rules
        return Spending(
            self.deployments, self.kill_switch, self.accounting, claiming, self.notifying, self.clock, rules
        )

    @cached_property
    def ending(self) -> Ending:
        """The end of invocations."""
        return Ending(self.invocations, self.bodies, self.in_flight, self.webhook_queue, self.journal, self.clock)

    @cached_property
    def answering(self) -> Answering:
        """Calling a model."""
        return Answering(
            self.artifacts,
            self.bodies,
            self.in_flight,
            self.backends,
            ChatTemplates(self.clock),
            self.accounting,
            self.spending,
            self.ending,
            self.clock,
        )

    @cached_property
    def inputs(self) -> Inputs:
        """Bodies that lie in buckets."""
        return Inputs(self.deployments, self.bodies, self.settings.source_buckets)

    @cached_property
    def queueing(self) -> Queueing:
        """Invocations that have to wait."""
        most = self.settings.queue_depth
        return Queueing(self.invocations, self.bodies, self.in_flight, self.queue, self.ending, most_waiting=most)

    @cached_property
    def invocation_views(self) -> InvocationViews:
        """Invocations as they are shown."""
        return InvocationViews(
            self.deployments,
            self.bodies,
            self.in_flight,
            self.backlog,
            self.accounting,
            self.clock,
            clock_speed=self.settings.clock_speed,
        )

    @cached_property
    def async_results(self) -> AsyncResults:
        """What asynchronous endpoints answer."""
        return AsyncResults(
            self.deployments,
            self.invocations,
            self.bodies,
            self.in_flight,
            self.answering,
            self.ending,
            self.journal,
            self.clock,
        )

    @cached_property
    def webhooks(self) -> Webhooks:
        """Telling somebody's server that an invocation is over."""
        return Webhooks(
            self.invocations,
            self.bodies,
            self.invocation_views,
            self.webhook_queue,
            self.webhook_sender,
            self.webhook_secret,
            self.clock,
        )
