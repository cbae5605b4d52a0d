*** Test Cases ***
Adds Up
    Should Be Equal As Integers    ${19 + 23}    42

Gives A Discount
    Should Be Equal As Integers    ${100 - 10}    80    the discount is wrong

Divides
    Evaluate    1 / 0

Ships To Mars
    Skip    not before spring

Converts
    Convert    EUR

Converts
    Convert    USD

Converts
    Convert    GBP

Knows All Currencies
    [Template]    Convert
    EUR
    USD
    CHF

Cleans Up
    [Teardown]    Fail    the basket is glued to the floor
    No Operation


*** Keywords ***
Convert
    [Arguments]    ${currency}
    IF    '${currency}' not in ['EUR', 'GBP']    Fail    ${currency} rate missing
