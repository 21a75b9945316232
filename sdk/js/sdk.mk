# The JavaScript SDK is built by npm and committed, so that only who changes it needs Node.
GENERATED += sdk

sdk.inputs  := sdk/js/src sdk/js/build.mjs sdk/js/package.json sdk/js/package-lock.json sdk/js/tsconfig.json
sdk.outputs := sdk/js/dist
sdk.command  = sh -c 'cd sdk/js && npm ci && npm run build'

.PHONY: sdk-test
sdk-test: ## The JavaScript SDK's own tests, on what is built (needs Node 20)
	node --test sdk/js/test/
