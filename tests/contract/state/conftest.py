from tests.replica.fixtures import aws_environment, moto_endpoint

__all__ = ["aws_environment", "moto_endpoint"]
