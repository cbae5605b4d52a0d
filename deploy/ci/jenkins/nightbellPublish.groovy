// A step for `vars/` of a shared library. The queue's URL is a credential of the kind "secret text". In a pipeline:
//
//   post {
//       always {
//           nightbellPublish junit: 'reports/*.xml', project: 'shop'
//       }
//   }
def call(Map options) {
    def variables = [
        "NIGHTBELL=${options.nightbell ?: 'nightbell'}",
        "JUNIT=${options.junit}",
        "PROJECT=${options.project}",
        "ENVIRONMENT=${options.environment ?: ''}",
    ]
    def secret = string(credentialsId: options.credentials ?: 'nightbell-queue-url', variable: 'NIGHTBELL_QUEUE_URL')
    // Neither a missing credential nor the time-out changes how the build ends.
    catchError(buildResult: 'SUCCESS', stageResult: 'SUCCESS', message: 'Nightbell: nothing published') {
        timeout(time: 2, unit: 'MINUTES') {
            withCredentials([secret]) {
                withEnv(variables) {
                    // Three single quotes: Groovy puts nothing into the script, least of all the secret.
                    sh label: 'Publish failures to Nightbell', script: '''
                        set -- publish --fail-open --timeout=30s "--junit=$JUNIT" "--project=$PROJECT"
                        set -- "$@" "--run-id=$BUILD_TAG" "--report-url=$BUILD_URL"
                        [ -z "$ENVIRONMENT" ] || set -- "$@" "--environment=$ENVIRONMENT"
                        "$NIGHTBELL" "$@" || echo "Nightbell: the failures of this build were not published"
                    '''
                }
            }
        }
    }
}
