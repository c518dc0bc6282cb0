"""What a stack replaces is moto's again when the stack is gone."""

from tests.faults.replacing import put_back, replace


class Inline:
    def launch(self) -> str:
        return "in a thread"


class Distributed(Inline):
    pass


def test_a_method_that_was_replaced_in_a_class_and_in_its_heir_is_as_it_was_in_both() -> None:
    for owner in (Inline, Distributed):
        replace(owner, "launch", lambda _: lambda _self: "as an actor")
    assert (Inline().launch(), Distributed().launch()) == ("as an actor", "as an actor")

    put_back()

    assert (Inline().launch(), Distributed().launch()) == ("in a thread", "in a thread")
