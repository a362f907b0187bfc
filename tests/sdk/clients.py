"""Each function calls one vendor through its Python SDK, at a base URL; it raises what the SDK raises."""

import urllib.parse

AWS = {"region_name": "us-east-1", "aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}


def openai(base):
    from openai import OpenAI

    return OpenAI(api_key="sk-test", base_url=base + "/v1").models.retrieve("m")


def anthropic(base):
    from anthropic import Anthropic

    return Anthropic(api_key="sk-test", base_url=base).models.retrieve("m")


def stripe(base):
    from stripe import StripeClient

    client = StripeClient("sk_test_1", base_addresses={"api": base}, max_network_retries=2)
    return client.v1.charges.retrieve("ch_1")


def pygithub(base):
    from github import Github, GithubRetry

    return Github("token", base_url=base, retry=GithubRetry(total=2, backoff_factor=0.1)).get_user().login


def slack(base):
    from slack_sdk import WebClient

    return WebClient("xoxb-1", base_url=base + "/api/").conversations_info(channel="C1")


def twilio(base):
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    class ThroughGateway(TwilioHttpClient):
        def request(self, method, url, **rest):
            return super().request(method, base + urllib.parse.urlsplit(url).path, **rest)

    client = Client("AC1", "token", http_client=ThroughGateway())
    return client.messages.create(to="+1", from_="+2", body="hello")


def s3(base):
    import boto3

    return boto3.client("s3", endpoint_url=base, **AWS).get_object(Bucket="bucket", Key="k")


def dynamodb(base):
    import boto3

    return boto3.client("dynamodb", endpoint_url=base, **AWS).get_item(TableName="t", Key={"id": {"S": "1"}})


def gcs(base):
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage
    from google.cloud.storage.retry import DEFAULT_RETRY

    options = {"api_endpoint": base}
    client = storage.Client(project="p", credentials=AnonymousCredentials(), client_options=options)
    retry = DEFAULT_RETRY.with_timeout(3).with_delay(initial=0.2, maximum=1)
    return client.bucket("b").blob("o").reload(retry=retry)


def azure(base):
    from azure.core.credentials import AzureSasCredential
    from azure.storage.blob import BlobClient

    blob = BlobClient(
        base + "/account", "c", "b", credential=AzureSasCredential("sig=x"), retry_total=2, initial_backoff=0.2
    )
    return blob.get_blob_properties() and blob.download_blob().readall()


def authlib(base):
    from authlib.integrations.requests_client import OAuth2Session

    return OAuth2Session("id", "secret").fetch_token(base + "/token", grant_type="client_credentials")


def requests_oauthlib(base):
    import os

    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    from oauthlib.oauth2 import BackendApplicationClient
    from requests_oauthlib import OAuth2Session

    session = OAuth2Session(client=BackendApplicationClient("id"))
    return session.fetch_token(base + "/token", client_id="id", client_secret="secret")


def grpc(base):
    import grpc

    with grpc.insecure_channel(urllib.parse.urlsplit(base).netloc) as channel:
        call = channel.unary_unary("/shop.Orders/Get")
        return call(b"", timeout=20)


def describe(error):
    """What a program sees of an exception: class, words, code."""
    code = getattr(error, "code", None) or getattr(error, "error_code", None) or getattr(error, "error", None)
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        code = response.get("Error", {}).get("Code")
    if callable(code):
        code = code()
    details = getattr(error, "details", None)
    message = details() if callable(details) else str(error)
    return {"raised": type(error).__name__, "message": message, "code": None if code is None else str(code)}


if __name__ == "__main__":
    import json
    import sys

    try:
        globals()[sys.argv[1]](sys.argv[2])
        print(json.dumps({"raised": None}))
    except Exception as raised:  # whatever the SDK raises is the result
        print(json.dumps(describe(raised)))
