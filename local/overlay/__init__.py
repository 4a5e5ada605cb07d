"""What the engine lacks, one module per gap: the list below reads as the table of contents.

Each module has one ``install(engine)``, names the AWS documentation that it follows, is proven in ``tests/engine`` by
an unmodified AWS client, and has a test there that fails once the engine no longer needs it.
"""

from importlib import import_module

from local.overlay.engine_hooks import AsgiApp, Engine

_OVERLAYS: tuple[str, ...] = (
    # module: what it brings
    "lambda_runtime",  # Python functions under AWS's own runtime client, as many as the machine bears
    "lambda_destinations",  # asynchronous invocations: retries, event age, destinations, dead-letter queues
    "cloudformation_types",  # AWS::Events::Archive, and how other modules add resource types
    "schema_registry",  # the schemas API and AWS::EventSchemas
    "sagemaker",  # serverless endpoints over a real model: AWS::SageMaker, describing and invoking
    "bedrock_runtime",  # Converse, streamed too, and embeddings by the models of local/models; no made-up answers
    "bedrock_guardrails",  # policies that cannot be evaluated here are refused, not passed over
    "bedrock_agents",  # prepared drafts, versions, aliases that point at them; the types of AWS::Bedrock
    "s3_vectors",  # vector buckets and indexes as records: AWS::S3Vectors
    "knowledge_base_documents",  # documents put directly into a knowledge base: kept, attributes and all
    "bedrock_agent_runtime",  # InvokeAgent over the same models and the real functions; Retrieve by meaning
    "agentcore_harness_types",  # AWS::BedrockAgentCore::Harness, describing harnesses
    "agentcore_harness",  # InvokeHarness: sessions and inline functions over the same models, streamed
    "rest_api",  # REST APIs from OpenAPI; Kinesis and EventBridge integrations with mapping templates
    "rest_api_authorizers",  # Cognito authorizers that take id tokens; functions must allow the API that invokes them
    "websocket_api",  # WebSocket APIs: limits, permissions, errors as API Gateway says them; GetConnection
    "cognito_self_service",  # people sign up where the pool lets them, change what their app client may write
    "secure_transport",  # loopback counts as TLS, so that TLS-only policies hold here as there
    "dynamodb_copies",  # items copied as plain JSON: a quarter less work a write
    "batch_actions",  # a batch of messages is authorised as the single action
    "kms_condition_keys",  # Encrypt and Decrypt authorised by their encryption context
    "event_condition_keys",  # PutEvents authorised per event, by source and detail-type
    "eventbridge_targets",  # retries, dead-letter queues and permissions of rule targets; malformed PutEvents entries
    "s3_events",  # which version was created, told to EventBridge too
    "sns_delivery",  # dead-letter queues of subscriptions; functions invoked asynchronously
    "cloudwatch_metrics",  # embedded metric format; AWS/SQS
    "xray_traces",  # the daemon's port, and traces listed
    "cloudwatch_alarms",  # alarms by dimension and period, evaluated as time passes
    "step_functions",  # retry delays capped and jittered; tasks done by the state machine's role
    "step_functions_callbacks",  # a task token an attempt, one answer a token, time-outs, failed calls
    "step_functions_test_state",  # TestState with variables, retries and catches for JSONata states
    "kinesis_event_source",  # event source mappings for Kinesis: parallel shards, partial response, retries, filters
)


def install_all(engine: Engine) -> AsgiApp:
    """Applies every overlay to the engine in this process; returns the ASGI application to serve."""
    for name in _OVERLAYS:
        import_module(f"local.overlay.{name}").install(engine)
    return engine.app
