"""Asks a server with prometheus-api-client, as its users do, and prints what came back as JSON.

python3 clients.py URL START END: times are seconds since 1970.
"""

import datetime
import json
import os
import sys

root = os.environ.get("BELLWETHER_PEERS") or os.path.join(os.path.dirname(__file__), "../../.peers")
sys.path.insert(0, os.path.join(root, "clients"))

from prometheus_api_client import PrometheusConnect  # noqa: E402

url, start, end = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
start, end = (datetime.datetime.fromtimestamp(at) for at in (start, end))
client = PrometheusConnect(url=url, disable_ssl=True)
label = {"target": "stable"}
print(
    json.dumps(
        {
            "check_prometheus_connection": client.check_prometheus_connection(),
            "all_metrics": client.all_metrics(),
            "get_label_names": client.get_label_names(),
            "get_label_values": client.get_label_values("target"),
            "get_series": client.get_series(start, end, params={"match[]": "up"}),
            "get_current_metric_value": client.get_current_metric_value(
                "bellwether_probe_threshold_seconds", label_config=label
            ),
            "custom_query": client.custom_query("sum(up) + 1"),
            "custom_query_range": client.custom_query_range("sum(up) + 1", start, end, "1"),
            "get_metric_range_data": client.get_metric_range_data(
                "up", start_time=start, end_time=end
            ),
        }
    )
)
