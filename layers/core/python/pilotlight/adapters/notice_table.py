"""What people have been told, in the table."""

from pilotlight.adapters.table import Table, encode


class NoticeTable:
    """Implements `ports.Notices`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def is_news(self, subject: str, word: str, *, usually: str) -> bool:
        """Note the latest word on a subject; say whether it is another than before. `usually` is before the first."""
        known = "attribute_exists(word)" if word == usually else "attribute_not_exists(word)"
        link = "AND" if word == usually else "OR"
        return self._table.update(
            f"NOTICE#{subject}",
            UpdateExpression="SET word = :word",
            ConditionExpression=f"{known} {link} word <> :word",
            ExpressionAttributeValues=encode({":word": word}),
        )
