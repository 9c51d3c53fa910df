"""The services of AWS beside DynamoDB, as far as `cdc check` asks them; they answer through a recorder."""

import json

from tests.dynamodb_streams.canned_server import Reply
from tests.iam.calls import Call
from tests.iam.recorder import Recorder

SESSION = "arn:aws:sts::123456789012:assumed-role/pipeline/session"


def xml(operation: str, content: str, namespace: str) -> Reply:
    body = f'<{operation}Response xmlns="{namespace}"><{operation}Result>{content}</{operation}Result></{operation}Response>'
    return Reply(body.encode())


def identity(arn: str) -> Reply:
    content = f"<Arn>{arn}</Arn><UserId>A:b</UserId><Account>123456789012</Account>"
    return xml("GetCallerIdentity", content, "https://sts.amazonaws.com/doc/2011-06-15/")


def denied_by_iam() -> Reply:
    body = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    return Reply(body, 403)


class Aws:
    """The services beside DynamoDB: what they say, by operation."""

    def __init__(self, front: Recorder) -> None:
        self.front = front
        self.caller = SESSION
        self.callers: dict[str, str] = {}
        """By access key id, where they differ."""
        self.denied: set[str] = set()
        """Actions that the simulator denies."""
        self.simulates = True
        self.simulated: list[tuple[str, str]] = []
        """Principal and resource of each question."""
        self.functions: list[str] = []
        self.answers: dict[str, Reply] = {}
        """Instead of the emulator's, by operation."""
        front.answer = self._answer

    def _answer(self, call: Call) -> Reply | None:
        if call.operation in self.answers:
            return self.answers[call.operation]
        if call.operation == "GetCallerIdentity":
            return identity(self.callers.get(call.key, self.caller))
        if call.operation == "SimulatePrincipalPolicy":
            return self._simulated(call) if self.simulates else denied_by_iam()
        if call.operation == "ListEventSourceMappings":
            return Reply(
                json.dumps(
                    {
                        "EventSourceMappings": [
                            {"FunctionArn": f"arn:aws:lambda:eu-west-1:1:function:{name}", "State": "Enabled"}
                            for name in self.functions
                        ]
                    }
                ).encode()
            )
        if call.operation == "DescribeKinesisStreamingDestination":
            return Reply(b'{"KinesisDataStreamDestinations": [{"DestinationStatus": "ACTIVE"}]}')
        return None

    def _simulated(self, call: Call) -> Reply:
        self.simulated.append((call.arguments["PolicySourceArn"], call.arguments["ResourceArns.member.1"]))
        actions = [value for name, value in call.arguments.items() if name.startswith("ActionNames")]
        members = "".join(
            f"<member><EvalActionName>{action}</EvalActionName><EvalDecision>"
            f"{'implicitDeny' if action in self.denied else 'allowed'}</EvalDecision></member>"
            for action in actions
        )
        content = f"<EvaluationResults>{members}</EvaluationResults><IsTruncated>false</IsTruncated>"
        return xml("SimulatePrincipalPolicy", content, "https://iam.amazonaws.com/doc/2010-05-08/")
