"""The embedded AWS: the engine that the project runs on where there is no AWS account, and the commands around it."""
