*** Test Cases ***
Adds Up
    Should Contain    12 <pieces> & more    13

Counts
    No Operation
