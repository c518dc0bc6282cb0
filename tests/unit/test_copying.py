"""Items are copied several at once; of a race the first to finish wins, and nothing is copied for nothing."""

from threading import Event, Lock

import pytest
from pilotlight.domain.errors import BodyCutShort, SourceChanged, Throttled
from pilotlight.domain.racing import STALLED_SECONDS
from pilotlight.services.copying import PROGRESS_SECONDS, TRIES, Copying, Item, ItemFailedError

LONG = 10.0  # seconds that no test takes


class Ticking:
    """A clock that goes on by so much whenever somebody looks."""

    def __init__(self, step=0.0):
        self.now, self.step, self._lock = 0.0, step, Lock()

    def __call__(self):
        with self._lock:
            self.now += self.step
            return self.now


def ignore(_bytes):
    pass


def items(copy, count=3, size_bytes=10):
    return [Item(name=f"part-{number}", size_bytes=size_bytes, copy=copy) for number in range(count)]


@pytest.mark.parametrize("streams", [1, 4])
def test_every_item_is_copied_once(streams):
    copied = []

    Copying(streams, Ticking()).copy(items(lambda transfer: copied.append(transfer.item.name), 9), ignore)

    assert sorted(copied) == [f"part-{number}" for number in range(9)]


def test_as_many_as_there_are_streams_are_on_their_way_at_once():
    met, all_there = [], Event()

    def copy(transfer):
        met.append(transfer.item.name)
        if len(met) == 4:
            all_there.set()
        assert all_there.wait(LONG)

    Copying(4, Ticking()).copy(items(copy, 4), ignore)

    assert len(met) == 4


def test_a_part_that_stands_still_is_copied_a_second_time_and_its_first_copy_is_cut():
    tries, cut = [], Event()

    def copy(transfer):
        tries.append(transfer.item.name)
        if transfer.item.name == "part-1" and tries.count("part-1") == 1:
            with transfer.cutting.by(cut.set):
                assert cut.wait(LONG)
            raise BodyCutShort("the connection ended")

    Copying(2, Ticking(step=STALLED_SECONDS)).copy(items(copy, 3), ignore)

    assert tries.count("part-1") == 2
    assert cut.is_set()


def test_a_copy_that_lost_is_no_failure_even_where_it_fails_first():
    began = Event()
    tries = []

    def copy(transfer):
        tries.append(transfer)
        if len(tries) == 1:
            assert began.wait(LONG)
            raise SourceChanged("only seen by one of the two")
        began.set()

    Copying(2, Ticking(step=STALLED_SECONDS)).copy(items(copy, 1), ignore)

    assert len(tries) == 2


@pytest.mark.parametrize("streams", [1, 3])
def test_what_may_pass_is_tried_again_and_told_with_its_name_when_it_does_not(streams):
    tries = []

    def copy(transfer):
        if transfer.item.name == "part-1":
            tries.append(transfer)
            raise BodyCutShort("broke")

    with pytest.raises(ItemFailedError) as failed:
        Copying(streams, Ticking()).copy(items(copy), ignore)

    assert (failed.value.item.name, failed.value.error.message, len(tries)) == ("part-1", "broke", TRIES)


@pytest.mark.parametrize("error", [SourceChanged("another commit"), Throttled("slow down")])
def test_what_will_not_pass_here_is_tried_once(error):
    tries = []

    def copy(transfer):
        tries.append(transfer)
        raise error

    with pytest.raises(ItemFailedError) as failed:
        Copying(1, Ticking()).copy(items(copy), ignore)

    assert (failed.value.error, len(tries)) == (error, 1)


def test_when_one_has_failed_the_others_are_cut():
    cut, under_way = Event(), Event()

    def copy(transfer):
        if transfer.item.name == "part-0":
            with transfer.cutting.by(cut.set):
                under_way.set()
                assert cut.wait(LONG)
            return
        assert under_way.wait(LONG)
        raise SourceChanged("another commit")

    with pytest.raises(ItemFailedError):
        Copying(2, Ticking()).copy(items(copy, 2), ignore)

    assert cut.wait(LONG)


def test_pieces_of_a_transfer_that_was_cut_go_no_further():
    got = []

    def copy(transfer):
        pieces = transfer.counted([b"first", b"second"])
        got.append(next(pieces))
        transfer.cutting.cut()
        got.extend(pieces)

    with pytest.raises(ItemFailedError) as failed:
        Copying(1, Ticking()).copy(items(copy, 1), ignore)

    assert isinstance(failed.value.error, BodyCutShort)
    assert got == [b"first"]


def test_progress_is_told_now_and_then_and_not_of_every_part():
    clock = Ticking()
    noted = []

    def copy(_transfer):
        clock.now += PROGRESS_SECONDS / 4

    Copying(1, clock).copy(items(copy, 8, size_bytes=100), noted.append)

    assert [told.total() for told in noted] == [400, 800, 800]


def test_a_note_in_between_that_cannot_be_taken_fails_nothing_and_the_last_one_does():
    clock = Ticking()
    noted, copied = [], []

    def copy(transfer):
        clock.now += PROGRESS_SECONDS
        copied.append(transfer.item.name)

    def refuse(told):
        noted.append(told.total())
        raise Throttled("the table asks us to slow down")

    with pytest.raises(Throttled):
        Copying(1, clock).copy(items(copy, 3, size_bytes=100), refuse)

    assert len(copied) == 3
    assert noted == [100, 200, 300, 300]
