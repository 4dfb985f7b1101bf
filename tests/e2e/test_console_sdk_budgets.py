"""@cognipeer/console-sdk from npm, unchanged, in Node: budgets."""

from tests.support import node
from tests.support.cluster import Cluster


def test_budgets(cluster: Cluster) -> None:
    node.install()
    answers = node.run("budgets.mjs", {"PORTICO_URL": cluster.url, "PORTICO_TOKEN": cluster.dev_token})
    made = answers["made"]
    assert (made["object"], made["domain"], made["scope"], made["label"]) == ("budget", "llm", "tenant", "Team")
    assert (made["daily_limit_usd"], made["monthly_limit_usd"], made["enabled"]) == (900.5, 20000, True)
    assert made["alert_thresholds"] == [0.5, 0.8, 1]
    assert made in answers["listed"]
    status = answers["status"]
    assert (status["object"], status["domain"], status["configured"]) == ("budget.status", "llm", True)
    day = status["per_day"]
    assert day["limit_usd"] == 900.5
    assert day["used_usd"] + day["remaining_usd"] == 900.5
    assert answers["tenant"]["configured"]
    assert not answers["token"]["configured"]
    assert (answers["updated"]["monthly_limit_usd"], answers["updated"]["enabled"]) == (30000, False)
    assert answers["removed"] == {"deleted": True, "id": made["id"]}
    assert made["id"] not in [each["id"] for each in answers["left"]]
    assert answers["wrong"]["status"] == 400
    assert answers["missing"]["status"] == 404
