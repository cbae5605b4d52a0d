// A step for `vars/` of a shared library. The queue's URL is a credential of the kind "secret text". In a pipeline:
//
//   post {
//       always {
//           nightbellPublish reports: 'reports/**/*.xml', project: 'shop'
//       }
//   }
//
// `reports` are files, folders or patterns, parted by commas; its older name is `junit`. The build's result counts too: a
// build that failed or is unstable, and whose reports do not show it, is an alert by itself.
def call(Map options) {
    def variables = [
        "NIGHTBELL=${options.nightbell ?: 'nightbell'}",
        "REPORTS=${options.reports ?: options.junit ?: ''}",
        "PROJECT=${options.project}",
        "ENVIRONMENT=${options.environment ?: ''}",
        "RESULT=${currentBuild.currentResult}",
    ]
    def secret = string(credentialsId: options.credentials ?: 'nightbell-queue-url', variable: 'NIGHTBELL_QUEUE_URL')
    // Neither a missing credential nor the time-out changes how the build ends.
    catchError(buildResult: 'SUCCESS', stageResult: 'SUCCESS', message: 'Nightbell: nothing published') {
        timeout(time: 2, unit: 'MINUTES') {
            withCredentials([secret]) {
                withEnv(variables) {
                    // Three single quotes: Groovy puts nothing into the script, least of all the secret.
                    sh label: 'Publish failures to Nightbell', script: '''
                        case $RESULT in
                            FAILURE | UNSTABLE) status=1 ;;
                            *) status=0 ;;
                        esac
                        set -- publish --fail-open --timeout=30s "--project=$PROJECT" "--exit-status=$status"
                        set -- "$@" "--run-id=$BUILD_TAG" "--report-url=$BUILD_URL"
                        [ -z "$ENVIRONMENT" ] || set -- "$@" "--environment=$ENVIRONMENT"
                        [ -z "$REPORTS" ] || set -- "$@" -- "$REPORTS"
                        "$NIGHTBELL" "$@" || echo "Nightbell: the failures of this build were not published"
                    '''
                }
            }
        }
    }
}
