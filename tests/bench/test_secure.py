"""The benches' broker is set up as the role sets up one in service."""

from pathlib import Path

import pytest

from appliance.bench.secure import OPENSSL_CONF, secure_broker
from appliance.relay.link import MqttLink
from tests import servers
from tests.polling import until

ROLE = Path("provisioning/roles/broker/files/openssl.cnf")


def test_the_role_gives_a_broker_the_same_tickets() -> None:
    """What the benches measure is what a broker in service does."""
    assert "".join(line for line in ROLE.read_text().splitlines(keepends=True) if not line.startswith("#")) == OPENSSL_CONF


def test_a_station_that_comes_back_shows_a_number_instead_of_its_certificate() -> None:
    """One small ticket: the second connection is resumed, and costs less than the tickets alone would have."""
    if servers.find("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    with secure_broker() as broker:
        line, costs = MqttLink(broker, "tram-0001", ["v1/07/tram-0001/down/+"]), []
        for _ in range(2):
            line.open()
            until(lambda: line.wait(0.0) or line.up, 10.0)
            costs.append(line.traffic.bytes_in)
            line.close()
        assert 700 < costs[0] < 1800
        assert costs[1] < 600
