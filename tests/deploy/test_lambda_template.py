"""What the templates of the API as a function make of the parameters of each environment."""

from __future__ import annotations

import json
import re
import typing
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from infra.kind import ROOT
from infra.lambda_deploy import TEMPLATES, environments
from orders.settings import CONCERNS, AuthSettings, DatabaseSettings, LambdaSettings, load
from tests.deploy.stacks import Stack

ENVIRONMENTS = environments()
GIVEN = ENVIRONMENTS["prod"]
ANYTHING = {
    "Network": "Lambda makes interfaces before it knows their names",
    "NetworkIsNotOfTheCode": "it forbids",
    "XRay": "segments have no name",
}
"""Statements about ``*``, and why."""


@pytest.fixture(params=ENVIRONMENTS)
def stack(request: pytest.FixtureRequest) -> Stack:
    return Stack(ENVIRONMENTS[request.param])


def with_(**given: str) -> Stack:
    return Stack(GIVEN | given)


def function(stack: Stack) -> dict[str, Any]:
    return stack.of("AWS::Serverless::Function")["Function"]


def variables(stack: Stack) -> dict[str, str]:
    found: dict[str, str] = function(stack)["Environment"]["Variables"]
    return found


def statements(stack: Stack) -> list[dict[str, Any]]:
    return [
        statement
        for each in stack.all
        for role in each.of("AWS::IAM::Role").values()
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def ports(rules: list[dict[str, Any]]) -> set[str]:
    return {str(rule["FromPort"]) for rule in rules if rule["IpProtocol"] == "tcp"} | {
        str(rule["ToPort"]) for rule in rules
    }


def test_there_are_parameters_for_dev_and_prod() -> None:
    assert list(ENVIRONMENTS) == ["dev", "prod"]


def test_the_parameters_of_an_environment_are_those_that_the_template_takes(stack: Stack) -> None:
    assert stack.unusable == []
    assert stack.objections == []


def test_what_the_template_includes_gets_the_parameters_that_it_takes(stack: Stack) -> None:
    assert list(stack.nested) == ["Proxy", "Gateway", "Alarms"]
    assert [name for name, each in stack.nested.items() if each.unusable] == []
    assert all(set(each.given) == set(each.parameters) for each in stack.nested.values())


def test_a_parameter_that_is_wrong_missing_or_unknown_is_found() -> None:
    wrong = with_(Architecture="mips", TemporalAddress="temporal", MemorySize="64", Colour="red")
    assert wrong.unusable == ["Architecture", "Colour", "MemorySize", "TemporalAddress"]
    assert "VpcId" in Stack({}).unusable


@pytest.mark.parametrize(
    ("given", "objection"),
    [
        ({"AuthJwksUrl": ""}, "AuthJwksUrl is needed unless GatewayAuthorizer=instead"),
        ({"CertificateArn": ""}, "CertificateArn is needed with DomainName"),
        ({"DomainName": "", "BasePath": "shop"}, "BasePath is below a DomainName"),
        (
            {"OtlpEndpoint": "http://collector:4318", "OtlpCidr": ""},
            "OtlpCidr is needed with an OtlpEndpoint but http://localhost:4318",
        ),
    ],
)
def test_parameters_that_do_not_go_together_are_refused_before_anything_is_made(
    given: dict[str, str], objection: str
) -> None:
    assert with_(**given).objections == [objection]


def test_every_variable_of_the_function_is_a_setting(stack: Stack) -> None:
    known = {field.alias for concern in CONCERNS for field in concern.model_fields.values()}
    assert set(variables(stack)) - known == set()


def test_the_values_of_the_variables_can_be_used(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables(stack).items():
        monkeypatch.setenv(name, value.replace("<Proxy.Outputs.Endpoint>", "proxy.example.com"))
    for concern in CONCERNS:
        load(concern)
    assert load(AuthSettings).for_function().mode == "jwt"
    assert load(DatabaseSettings).ssl_mode == "verify-full"


def test_no_secret_stands_in_a_variable_or_a_parameter(stack: Stack) -> None:
    secret = {
        field.alias
        for concern in CONCERNS
        for field in concern.model_fields.values()
        if SecretStr in (field.annotation, *typing.get_args(field.annotation))
        or SecretStr in typing.get_args(next(iter(typing.get_args(field.annotation)), None))
    }
    assert {"DATABASE_URL", "TEMPORAL_API_KEY", "CARRIER_WEBHOOK_SECRETS"} <= secret
    assert set(variables(stack)) & secret == {"DATABASE_URL"}
    assert make_url(variables(stack)["DATABASE_URL"].replace("<Proxy.Outputs.Endpoint>", "proxy")).password is None
    named = re.compile(r"password|secret|key|token", re.IGNORECASE)
    assert [name for name in stack.parameters if named.search(name) and not name.endswith("Arn")] == []


def test_the_base_path_and_the_authorizer_reach_the_function() -> None:
    assert variables(with_(BasePath="shop/v1"))["LAMBDA_BASE_PATH"] == "/shop/v1"
    assert variables(with_(GatewayAuthorizer="instead"))["AUTH_MODE"] == "gateway"
    assert variables(with_(GatewayAuthorizer="none"))["AUTH_MODE"] == "jwt"


def test_roles_may_what_they_need_and_of_what_is_named(stack: Stack) -> None:
    assert {each["Sid"] for each in statements(stack) if each["Resource"] == "*"} <= set(ANYTHING)
    allowed = [each for each in statements(stack) if each["Effect"] == "Allow"]
    assert [each for each in allowed if "*" in "".join(each["Action"])] == []
    assert [each["Resource"] for each in allowed if "*" in each["Resource"].removesuffix(":*")] == ["*"]
    assert not any("ManagedPolicyArns" in role for each in stack.all for role in each.of("AWS::IAM::Role").values())


def test_the_function_may_be_one_user_of_one_database_and_read_one_secret() -> None:
    may = {each["Action"]: each["Resource"] for each in statements(with_()) if isinstance(each["Action"], str)}
    assert may["secretsmanager:GetSecretValue"] == GIVEN["SettingsSecretArn"]
    assert may["kms:Decrypt"] == GIVEN["KmsKeyArn"]
    account = "arn:aws:rds-db:us-east-1:123456789012:dbuser"
    connects = [each["Resource"] for each in statements(with_()) if each["Action"] == "rds-db:connect"]
    assert connects == [
        f"{account}:<Proxy.Outputs.ResourceId>/orders_api",
        f"{account}:{GIVEN['DatabaseResourceId']}/orders_api",
    ]


def test_the_code_may_not_what_lambda_does_in_its_name(stack: Stack) -> None:
    (denied,) = [each for each in statements(stack) if each["Effect"] == "Deny"]
    arn = "arn:aws:lambda:us-east-1:123456789012:function:orders-api"
    assert (denied["Action"], denied["Condition"]) == ("ec2:*", {"ArnEquals": {"lambda:SourceFunctionArn": arn}})
    assert arn.endswith(f":{function(stack)['FunctionName']}")


def test_x_ray_and_a_key_are_allowed_only_where_they_are_used() -> None:
    def sids(**given: str) -> set[str]:
        return {each["Sid"] for each in statements(with_(**given)) if "Sid" in each}

    assert "XRay" not in sids()
    assert "XRay" in sids(Tracing="Active")
    assert "Key" not in sids(KmsKeyArn="")


def test_nobody_reaches_the_function_and_only_the_function_the_proxy(stack: Stack) -> None:
    groups = {name: each for one in stack.all for name, each in one.of("AWS::EC2::SecurityGroup").items()}
    assert "SecurityGroupIngress" not in groups["FunctionSecurityGroup"]
    single = [rule for one in stack.all for rule in one.of("AWS::EC2::SecurityGroupIngress").values()]
    ingress = [*groups["SecurityGroup"]["SecurityGroupIngress"], *single]
    sources = [(rule.get("GroupId"), rule["SourceSecurityGroupId"]) for rule in ingress]
    assert sources == [
        (None, "<FunctionSecurityGroup>"),
        (stack.values["DatabaseSecurityGroupId"], "<SecurityGroup.GroupId>"),
    ]
    assert ports(ingress) == {"5432"}
    assert not any("Cidr" in name for rule in ingress for name in rule)


def test_the_function_reaches_temporal_the_issuer_the_database_and_a_collector() -> None:
    def reached(**given: str) -> set[str]:
        stack = with_(**given)
        inline = stack.of("AWS::EC2::SecurityGroup")["FunctionSecurityGroup"]["SecurityGroupEgress"]
        return ports([*inline, *stack.of("AWS::EC2::SecurityGroupEgress").values()])

    assert reached() == {"443", "7233", "5432", "4318"}
    assert reached(OtlpEndpoint="http://localhost:4318", OtlpCidr="") == {"443", "7233", "5432"}


def test_an_endpoint_that_is_there_is_used_without_a_proxy_of_ours() -> None:
    for resource, pooler in (("prx-0123456789abcdef0", "transaction"), ("db-EXAMPLE", "none")):
        own = with_(Database="endpoint", DatabaseIdentifier="db.example.com", DatabaseResourceId=resource)
        assert "Proxy" not in own.resources
        assert variables(own)["DATABASE_URL"] == "postgresql://orders_api@db.example.com:5432/orders"
        assert variables(own)["DATABASE_POOLER"] == pooler
        assert [each["Resource"].split(":")[-1] for each in statements(own) if each["Action"] == "rds-db:connect"] == [
            f"{resource}/orders_api"
        ]
        (into,) = own.of("AWS::EC2::SecurityGroupIngress").values()
        assert into["SourceSecurityGroupId"] == "<FunctionSecurityGroup>"


def test_the_proxy_wants_encryption_and_iam_of_everybody(stack: Stack) -> None:
    (proxy,) = stack.nested["Proxy"].of("AWS::RDS::DBProxy").values()
    assert (proxy["RequireTLS"], proxy["DefaultAuthScheme"], proxy.get("Auth")) == (True, "IAM_AUTH", None)
    assert variables(stack)["DATABASE_AUTH"] == "iam"
    (targets,) = stack.nested["Proxy"].of("AWS::RDS::DBProxyTargetGroup").values()
    of_cluster = stack.values["Database"] == "cluster"
    assert ("DBClusterIdentifiers" in targets, "DBInstanceIdentifiers" in targets) == (of_cluster, not of_cluster)


def test_environments_have_fewer_connections_than_the_database_has_for_them(stack: Stack) -> None:
    (targets,) = stack.nested["Proxy"].of("AWS::RDS::DBProxyTargetGroup").values()
    share = targets["ConnectionPoolConfigurationInfo"]["MaxConnectionsPercent"]
    rows = stack.template["Mappings"]["Concurrency"]
    assert list(rows) == stack.parameters["DatabaseMaxConnections"]["AllowedValues"]
    assert [row for most, row in rows.items() if not 0 < row["Most"] < int(most) * share / 100] == []
    assert [row for row in rows.values() if row["Near"] != row["Most"] * 0.8] == []
    assert variables(stack)["DATABASE_POOL_SIZE"] == "1"


def test_so_many_environments_are_reserved_unless_the_account_has_none_to_reserve() -> None:
    assert function(with_())["ReservedConcurrentExecutions"] == 160
    assert int(GIVEN["ProvisionedConcurrency"]) < 160
    assert "ReservedConcurrentExecutions" not in function(with_(ReserveConcurrency="false"))
    assert "ProvisionedConcurrencyConfig" not in function(with_(ProvisionedConcurrency="0"))


def test_who_waits_longer_gives_up_later(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables(stack).items():
        monkeypatch.setenv(name, value)
    database = load(DatabaseSettings)
    ((_, proxy),) = stack.nested["Proxy"].of("AWS::RDS::DBProxy").items()
    ((_, targets),) = stack.nested["Proxy"].of("AWS::RDS::DBProxyTargetGroup").items()
    assert targets["ConnectionPoolConfigurationInfo"]["ConnectionBorrowTimeout"] < database.timeout.total_seconds()
    assert int(variables(stack)["DATABASE_MAX_IDLE"]) < proxy["IdleClientTimeout"]
    (integration,) = stack.nested["Gateway"].of("AWS::ApiGatewayV2::Integration").values()
    # "Quotas for configuring and running an HTTP API": 30 seconds, which can't be increased.
    limit = integration["TimeoutInMillis"] / 1000
    assert load(LambdaSettings).gateway_timeout.total_seconds() < limit <= function(stack)["Timeout"] <= 30


def test_what_the_gateway_calls_is_the_alias(stack: Stack) -> None:
    gateway = stack.nested["Gateway"]
    assert function(stack)["AutoPublishAlias"] == "live"
    (integration,) = gateway.of("AWS::ApiGatewayV2::Integration").values()
    (permission,) = gateway.of("AWS::Lambda::Permission").values()
    assert {integration["IntegrationUri"], permission["FunctionName"]} == {"<Function.Alias>"}
    assert permission["SourceArn"].endswith(":<Api>/*")
    assert integration["PayloadFormatVersion"] == "2.0"
    assert {route["Target"] for route in gateway.of("AWS::ApiGatewayV2::Route").values()} == {
        "integrations/<Integration>"
    }


def test_the_handler_is_there_and_the_zip_of_each_environment_is_of_a_known_kind(stack: Stack) -> None:
    module, _, _ = function(stack)["Handler"].rpartition(".")
    assert (ROOT / f"{module.replace('.', '/')}.py").exists()
    assert (TEMPLATES / function(stack)["CodeUri"]).resolve() == ROOT / "dist" / "lambda" / "function.zip"


def test_the_gateway_asks_for_tokens_where_the_api_does() -> None:
    described = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    # HEAD goes where GET does, and what is neither is for the API to refuse.
    free = {
        f"{'ANY' if method == 'get' else method.upper()} {path}"
        for path, operations in described.items()
        for method, operation in operations.items()
        if not operation.get("security")
    }
    routes = {each["RouteKey"]: each for each in with_().nested["Gateway"].of("AWS::ApiGatewayV2::Route").values()}
    opened = {key for key, route in routes.items() if route["AuthorizationType"] == "NONE"}
    assert {re.sub(r"^(POST /webhooks)/\w+$", r"\1/{partner}", key) for key in free} == opened - {
        "OPTIONS /{proxy+}",
        "ANY /openapi.json",
        "ANY /docs",
    }
    assert {key for key, route in routes.items() if route.get("AuthorizerId") == "<Authorizer>"} == {
        "$default",
        "POST /orders",
    }
    (authorizer,) = with_().nested["Gateway"].of("AWS::ApiGatewayV2::Authorizer").values()
    issued = {"Issuer": GIVEN["AuthIssuer"], "Audience": [GIVEN["AuthAudience"]]}
    assert (authorizer["AuthorizerType"], authorizer["JwtConfiguration"]) == ("JWT", issued)
    bare = with_(GatewayAuthorizer="none").nested["Gateway"]
    assert bare.of("AWS::ApiGatewayV2::Authorizer") == {}
    assert {each["AuthorizationType"] for each in bare.of("AWS::ApiGatewayV2::Route").values()} == {"NONE"}


def test_a_domain_closes_the_gateway_s_own_address() -> None:
    def closed(**given: str) -> bool:
        (api,) = with_(**given).of("AWS::ApiGatewayV2::Api").values()
        return bool(api["DisableExecuteApiEndpoint"])

    assert closed()
    assert not closed(DomainName="", CertificateArn="")
    gateway = with_(BasePath="shop", HostedZoneId="Z0123").nested["Gateway"]
    assert gateway.of("AWS::ApiGatewayV2::ApiMapping")["DomainMapping"]["ApiMappingKey"] == "shop"
    assert gateway.of("AWS::Route53::RecordSet")["DomainRecord"]["Name"] == "api.example.com"


def test_the_access_log_is_json_and_names_neither_callers_nor_queries(stack: Stack) -> None:
    (stage,) = stack.nested["Gateway"].of("AWS::ApiGatewayV2::Stage").values()
    fields = json.loads(stage["AccessLogSettings"]["Format"])
    assert fields["invocation"] == "$context.integration.requestId"
    assert not re.search(r"sourceIp|userAgent|identity|claims|query", " ".join(fields.values()))
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": stack.values["ThrottlingRate"],
        "ThrottlingBurstLimit": stack.values["ThrottlingBurst"],
    }


def test_every_log_is_kept_for_a_while_and_is_one_that_is_written(stack: Stack) -> None:
    groups = [each for one in stack.all for each in one.of("AWS::Logs::LogGroup").values()]
    assert [each["LogGroupName"] for each in groups] == [
        "/aws/lambda/orders-api",
        "/aws/rds/proxy/orders-api",
        "/aws/apigateway/orders",
    ]
    assert {str(each["RetentionInDays"]) for each in groups} == {stack.values["LogRetention"]}
    assert all(("KmsKeyId" in each) == bool(stack.values["KmsKeyArn"]) for each in groups)
    assert function(stack)["LoggingConfig"]["LogGroup"] == "<FunctionLogs>"
    (proxy,) = stack.nested["Proxy"].of("AWS::RDS::DBProxy").values()
    assert (proxy["DBProxyName"], function(stack)["FunctionName"]) == ("orders-api", "orders-api")


def test_a_deployment_goes_back_when_its_alarms_say_so(stack: Stack) -> None:
    preference = function(stack)["DeploymentPreference"]
    alarms = stack.of("AWS::CloudWatch::Alarm")
    assert preference["Type"] == stack.values["Deployment"]
    assert {f"<{name}>" for name in alarms} == set(preference["Alarms"])
    watched = {each["Name"]: each["Value"] for each in alarms["NewVersionErrors"]["Dimensions"]}
    assert watched == {
        "FunctionName": "<Function>",
        "Resource": "<Function>:live",
        "ExecutedVersion": "<Function.Version.Version>",
    }


def test_every_alarm_tells_the_topic_and_is_quiet_without_requests() -> None:
    def alarms(**given: str) -> dict[str, dict[str, Any]]:
        return {k: v for one in with_(**given).all for k, v in one.of("AWS::CloudWatch::Alarm").items()}

    assert len(alarms()) == 8
    assert {tuple(each["AlarmActions"]) for each in alarms().values()} == {(GIVEN["AlarmTopicArn"],)}
    assert {each["TreatMissingData"] for each in alarms().values()} == {"notBreaching"}
    assert alarms()["NearConcurrency"]["Threshold"] == 128
    assert not any("AlarmActions" in each for each in alarms(AlarmTopicArn="").values())
    assert "NearConcurrency" not in alarms(ReserveConcurrency="false")
    own = alarms(Database="endpoint", DatabaseIdentifier="db.example.com")
    assert not any(name.startswith("Proxy") for name in own)


def test_every_parameter_that_the_page_tells_to_set_is_one_and_takes_the_value() -> None:
    page = (ROOT / "docs" / "lambda.md").read_text()
    told = re.findall(r"`([A-Z][a-z]\w+)=([\w/.:-]*)`", page)
    assert len(told) >= 8
    assert [f"{name}={value}" for name, value in told if name in with_(**{name: value}).unusable] == []


def test_every_alarm_has_its_row_on_the_page() -> None:
    page = (ROOT / "docs" / "lambda.md").read_text()
    rows = re.findall(r"^\| (`[^|]+) \| [^|]+ \| [^|]+ \|$", page.partition("| alarm |")[2], re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert {name for one in with_().all for name in one.of("AWS::CloudWatch::Alarm")} <= told
